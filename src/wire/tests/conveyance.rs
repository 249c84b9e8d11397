//! Conveyance messages: what is published reads, what is written reads back, and no text does anything else than be refused.

use crate::wire::conveyance::*;
use proptest::prelude::*;
use serde_json::value::RawValue;

fn name_of(text: &str) -> String {
    let written: serde_json::Value = serde_json::from_str(&Message::read(text).unwrap().text()).unwrap();
    written.as_object().unwrap().keys().next().unwrap().clone()
}

/// Written here by the shapes of NENA-STA-024, versions 1.0 and 1.1.
#[test]
fn every_message_of_both_versions_reads_in_the_spelling_of_its_schema() {
    for (text, name) in [
        (
            r#"{"subscribe":{"requestId":"r","requestType":"EIDO","requestSubType":"new","expires":60,"minRate":15}}"#,
            "subscribe",
        ),
        (
            r#"{"subscribeResponse":{"requestId":"r","subscriptionId":"s","expires":60,"statusCode":200,"statusText":"OK"}}"#,
            "subscribeResponse",
        ),
        (r#"{"unsubscribe":{"requestId":"r","subscriptionId":"s"}}"#, "unsubscribe"),
        (
            r#"{"unsubscribeResponse":{"subscriptionId":"s","statusCode":200,"statusText":"Unsubscribed"}}"#,
            "unsubscribeResponse",
        ),
        (r#"{"event":{"subscriptionId":"s","transactionId":"t","notification":[{"$id":"x"}]}}"#, "event"),
        (r#"{"event":{"subscriptionId":"s","transactionId":"t"}}"#, "event"),
        (r#"{"eventResponse":{"transactionId":"t","statusCode":413,"statusText":"too large"}}"#, "eventResponse"),
        (r#"{"terminate":{"requestId":"r","subscriptionId":"s"}}"#, "terminate"),
        (
            r#"{"terminateResponse":{"requestId":"r","subscriptionId":"s","statusCode":481,"statusText":"none"}}"#,
            "terminateResponse",
        ),
        (r#"{"requestForService":{"requestId":"r","eido":{"$id":"x"}}}"#, "requestForService"),
        (r#"{"requestAwareness":{"requestId":"r","eido":{}}}"#, "requestAwareness"),
        (r#"{"requestAwarenes":{"requestId":"r","eido":{}}}"#, "requestAwareness"),
        (r#"{"cancelRequest":{"requestId":"r"}}"#, "cancelRequest"),
        (r#"{"cancelREequest":{"requestId":"r"}}"#, "cancelRequest"),
        (r#"{"response":{"requestId":"r","responseCode":603,"responseText":"Decline"}}"#, "response"),
        (r#"{"response":{"requestId":"r","statusCode":501,"statusText":"Not implemented"}}"#, "response"),
    ] {
        assert_eq!(name_of(text), name, "{text}");
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let long = format!(r#"{{"cancelRequest":{{"requestId":"{}"}}}}"#, "r".repeat(257));
    let many = format!(
        r#"{{"event":{{"subscriptionId":"s","transactionId":"t","notification":[{}]}}}}"#,
        vec!["{}"; 257].join(",")
    );
    for (text, fault) in [
        ("", ConveyanceFault::Malformed),
        ("{}", ConveyanceFault::Malformed),
        ("[]", ConveyanceFault::Malformed),
        (r#""cancelRequest""#, ConveyanceFault::Malformed),
        (r#"{"surprise":{}}"#, ConveyanceFault::Malformed),
        (
            r#"{"cancelRequest":{"requestId":"r"},"terminate":{"requestId":"r","subscriptionId":"s"}}"#,
            ConveyanceFault::Malformed,
        ),
        (r#"{"cancelRequest":{"requestId":"r","requestId":"q"}}"#, ConveyanceFault::Malformed),
        (r#"{"response":{"requestId":"r","responseCode":200,"statusCode":603}}"#, ConveyanceFault::Malformed),
        (r#"{"response":{"requestId":"r","responseCode":99999999}}"#, ConveyanceFault::Malformed),
        (r#"{"cancelRequest":{"requestId":""}}"#, ConveyanceFault::Identifier),
        ("{\"cancelRequest\":{\"requestId\":\"a\\u0000b\"}}", ConveyanceFault::Identifier),
        (&long, ConveyanceFault::Identifier),
        (&many, ConveyanceFault::TooMany),
    ] {
        assert_eq!(Message::read(text).unwrap_err(), fault, "{text}");
    }
    let deep =
        format!(r#"{{"requestForService":{{"requestId":"r","eido":{}{}}}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    let _refused_or_carried_unread = Message::read(&deep);
}

#[test]
fn words_are_cut_and_never_inside_a_letter() {
    let text = format!(r#"{{"response":{{"requestId":"r","responseCode":200,"responseText":"{}"}}}}"#, "é".repeat(300));
    let Message::Response(response) = Message::read(&text).unwrap() else { panic!() };
    assert_eq!(response.response_text, "é".repeat(128));
}

fn identifier() -> impl Strategy<Value = String> + Clone {
    "[!-~éλ]{1,60}"
}

fn message() -> impl Strategy<Value = Message> {
    let eido = || {
        prop::sample::select(vec!["{}", r#"{"$id":"x","note":"\"<b>\""}"#])
            .prop_map(|text| RawValue::from_string(text.to_owned()).unwrap())
    };
    let status =
        (prop::option::of(identifier()), prop::option::of(identifier()), prop::option::of(any::<u32>()), any::<u16>())
            .prop_map(|(request_id, subscription_id, expires, status_code)| Status {
                request_id,
                subscription_id,
                expires: expires.map(u64::from),
                status_code,
                status_text: "words".to_owned(),
            });
    let ending =
        (identifier(), identifier()).prop_map(|(request_id, subscription_id)| Ending { request_id, subscription_id });
    prop_oneof![
        (identifier(), prop::option::of(identifier()), prop::option::of(any::<u32>())).prop_map(
            |(request_id, incident_id, expires)| Message::Subscribe(Subscribe {
                request_id,
                incident_id,
                expires: expires.map(u64::from),
                ..Subscribe::default()
            })
        ),
        status.clone().prop_map(Message::SubscribeResponse),
        status.prop_map(Message::TerminateResponse),
        ending.clone().prop_map(Message::Unsubscribe),
        ending.prop_map(Message::Terminate),
        (identifier(), identifier(), prop::collection::vec(eido(), 0..4)).prop_map(
            |(subscription_id, transaction_id, notification)| Message::Event(Notification {
                subscription_id,
                transaction_id,
                notification,
            })
        ),
        (identifier(), eido()).prop_map(|(request_id, eido)| Message::RequestForService(Push { request_id, eido })),
        identifier().prop_map(|request_id| Message::CancelRequest(Cancel { request_id })),
        (identifier(), any::<u16>()).prop_map(|(request_id, response_code)| Message::Response(Response {
            request_id,
            response_code,
            response_text: String::new(),
        })),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_back(message in message()) {
        let text = message.text();
        prop_assert_eq!(Message::read(&text).unwrap().text(), text);
    }

    /// Whoever does nothing of it still answers each request once, under its own name, and never with a yes.
    #[test]
    fn what_is_answered_by_whoever_does_none_of_it_reads_back_and_is_no_yes(message in message()) {
        let asks = !matches!(message, Message::SubscribeResponse(_) | Message::TerminateResponse(_) | Message::Response(_));
        let answer = message.not_implemented();
        prop_assert_eq!(answer.is_some(), asks);
        if let Some(answer) = answer {
            let read = Message::read(&answer.text());
            let (code, name) = match read.as_ref().unwrap() {
                Message::Response(said) => (said.response_code, said.request_id.clone()),
                Message::EventResponse(said) => (said.status_code, said.transaction_id.clone()),
                Message::TerminateResponse(said) => (said.status_code, said.request_id.clone().unwrap()),
                other => panic!("{other:?}"),
            };
            let of_a_subscription = matches!(message, Message::Event(_) | Message::Terminate(_));
            prop_assert_eq!(code, if of_a_subscription { 481 } else { 501 });
            prop_assert!(message.text().contains(&serde_json::to_string(&name).unwrap()));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = Message::read(&text);
    }

    #[test]
    fn a_message_with_a_byte_changed_is_read_or_refused(message in message(), place in any::<prop::sample::Index>(), byte in 0_u8..128) {
        let mut bytes = message.text().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(read) = Message::read(&text)
        {
            let again = read.text();
            prop_assert_eq!(Message::read(&again).unwrap().text(), again);
        }
    }
}
