//! Peers named by how they misbehave, after the fault table of `design/reliability.md` section 9.

use crate::callers::SENDER_HEADER;
use crate::client::Client;
use crate::habits::Habits;
use crate::peers::{Behaviour, ProgramPeer};
use hyper::Method;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Pause between two bytes of [`Slowness::ByteASecond`].
const BYTE_PAUSE: Duration = Duration::from_secs(1);
/// What [`Slowness::AlmostHalfAMinute`] waits before it answers: just under the usual 30 s of HTTP clients.
const ALMOST_HALF_A_MINUTE: Duration = Duration::from_secs(29);
/// Bytes of a request head that a slow peer reads, at most.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How a slow peer is slow. In the machine's time: what it tries are the adapter's own request limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slowness {
    /// The answer comes one byte a second.
    ByteASecond,
    /// A whole answer, after 29 s.
    AlmostHalfAMinute,
}

/// Receives offers and never answers them (faults 21 and 22: a machine's 200 is no human's acceptance).
#[must_use]
pub fn silent_team(program: &str) -> ProgramPeer {
    certain(program, Habits { accept: 0.0, decline: 0.0, late: 0.0, unreachable: 0.0, ..Habits::usual() })
}

/// Accepts every offer after its deadline (fault 25).
#[must_use]
pub fn late_team(program: &str) -> ProgramPeer {
    certain(program, Habits { accept: 0.0, decline: 0.0, late: 1.0, unreachable: 0.0, ..Habits::usual() })
}

/// Two members accept every offer at the same moment (fault 23).
#[must_use]
pub fn double_accept_team(program: &str) -> ProgramPeer {
    let habits = Habits { accept: 1.0, decline: 0.0, late: 0.0, unreachable: 0.0, ..Habits::usual() };
    certain(program, Habits { double_accept: true, ..habits })
}

/// Answers its webhook slowly, and never the offer (fault 34).
#[must_use]
pub fn slow_team(program: &str, slowness: Slowness) -> ProgramPeer {
    ProgramPeer { program: program.to_owned(), behaviour: Behaviour::Slow(slowness) }
}

fn certain(program: &str, habits: Habits) -> ProgramPeer {
    ProgramPeer { program: program.to_owned(), behaviour: Behaviour::Team(Box::new(habits)) }
}

/// The address of a CAD that is down: nothing listens there.
///
/// # Errors
/// Where no port can be had.
pub async fn cad_down() -> std::io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    Ok(format!("http://{}", listener.local_addr()?))
}

/// Share of records that a CAD which retries after lost answers sends twice (fault 4).
pub const CAD_DUPLICATES: f64 = 0.1;

/// A peer on a bare socket; it ends when dropped.
#[derive(Debug)]
pub struct BarePeer {
    /// Where it listens.
    pub address: SocketAddr,
    task: AbortHandle,
}

impl BarePeer {
    /// `http://host:port`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for BarePeer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A CAD that takes connections and bytes and never answers (fault 33).
///
/// # Errors
/// Where no port can be had.
pub async fn cad_half_open() -> std::io::Result<BarePeer> {
    bare(SocketAddr::from(([127, 0, 0, 1], 0)), |mut stream| async move {
        let mut swallowed = [0_u8; 4096];
        while matches!(stream.read(&mut swallowed).await, Ok(read) if read > 0) {}
        std::future::pending::<()>().await;
    })
    .await
}

/// A webhook receiver that answers slowly.
///
/// # Errors
/// Where the address cannot be bound.
pub(crate) async fn slow_peer(address: SocketAddr, slowness: Slowness) -> std::io::Result<BarePeer> {
    bare(address, move |stream| async move {
        // A client that gives up breaks the connection; that is what this peer is for.
        let _ = answer_slowly(stream, slowness).await;
    })
    .await
}

async fn answer_slowly(mut stream: TcpStream, slowness: Slowness) -> std::io::Result<()> {
    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    match slowness {
        Slowness::ByteASecond => {
            for byte in ANSWER {
                stream.write_all(&[*byte]).await?;
                stream.flush().await?;
                tokio::time::sleep(BYTE_PAUSE).await;
            }
        }
        Slowness::AlmostHalfAMinute => {
            tokio::time::sleep(ALMOST_HALF_A_MINUTE).await;
            stream.write_all(ANSWER).await?;
        }
    }
    stream.shutdown().await
}

async fn bare<H, F>(address: SocketAddr, handle: H) -> std::io::Result<BarePeer>
where
    H: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn(handle(stream));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    Ok(BarePeer { address, task: task.abort_handle() })
}

/// A record that no decoder may take.
#[derive(Debug, Clone)]
pub struct Malformed {
    /// What is wrong with it.
    pub name: &'static str,
    /// The sender it is sent as.
    pub sender: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Records that must be refused with a 4xx, each wrong in one way (fault 15, and the bombs of fault 73).
#[must_use]
pub fn malformed_records() -> Vec<Malformed> {
    let record = |name, sender, bytes: &[u8]| Malformed { name, sender, bytes: bytes.to_vec() };
    let deep = [vec![b'['; 5_000], vec![b']'; 5_000]].concat();
    let bomb =
        b"<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>\
        <CallExport><CallNumber>&b;</CallNumber></CallExport>";
    let eido = "{\"eidoVersion\":\"1.0\",\"$id\":\"urn:emergency:uid:incidentid:1:x.example\"";
    let large = format!("{eido},\"notesComponent\":[{{\"notesActionComments\":\"{}\"}}]}}", "a".repeat(1_200_000));
    vec![
        record("empty", "cad-eido", b""),
        record("not a record", "cad-eido", b"hello"),
        record("json cut off", "cad-eido", eido.as_bytes()),
        record("json of the wrong shape", "cad-eido", b"[1,2,3]"),
        record("json too deep", "cad-eido", &deep),
        record(
            "json with a key twice",
            "cad-eido",
            format!("{eido},\"$id\":\"urn:emergency:uid:incidentid:2:x.example\"}}").as_bytes(),
        ),
        record("too large", "cad-eido", large.as_bytes()),
        record("xml with a doctype and entities", "cad-export", bomb),
        record("xml with tags crossed", "cad-export", b"<CallExport><CallNumber>1</CallExport></CallNumber>"),
        record("xml cut off", "cad-export", b"<CallExport><CallNumber>1"),
        record("utf-16 with half a character", "cad-export", b"\xFF\xFE<\0C\0a"),
        record("bytes of no encoding", "cad-export", b"<CallExport>\xC3\x28\xA0\xA1</CallExport>"),
        record("a header without a row", "cad-rows", b"IncidentNumber,Updated\r\n"),
    ]
}

/// What a malformed record was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedAnswer {
    /// What was wrong with it.
    pub name: &'static str,
    /// The status; `None` where no answer came.
    pub status: Option<u16>,
}

/// Sends every malformed record to `POST {intake}/v1/calls` once and says what each was answered.
pub async fn malformed_sender(client: &Client, intake: &str, token: &str) -> Vec<MalformedAnswer> {
    let url = format!("{intake}/v1/calls");
    let authorization = format!("Bearer {token}");
    let mut answers = Vec::new();
    for record in malformed_records() {
        let headers = [("authorization", authorization.as_str()), (SENDER_HEADER, record.sender)];
        let answer = client.send(Method::POST, &url, &headers, record.bytes).await;
        answers.push(MalformedAnswer { name: record.name, status: answer.ok().map(|answer| answer.status) });
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cad_that_is_down_refuses_and_one_that_is_half_open_swallows() {
        let client = Client::new(Duration::from_millis(300));
        let down = cad_down().await.unwrap();
        assert!(client.send(Method::POST, &down, &[], "x").await.is_err());
        let half_open = cad_half_open().await.unwrap();
        let error = client.send(Method::POST, &half_open.url(), &[], "x").await.unwrap_err();
        assert!(matches!(error, crate::client::ClientError::TimeLimit(_)), "{error}");
    }

    #[tokio::test]
    async fn a_slow_peer_has_not_answered_within_a_second() {
        let peer = slow_peer(([127, 0, 0, 1], 0).into(), Slowness::ByteASecond).await.unwrap();
        let client = Client::new(Duration::from_secs(1));
        assert!(client.send(Method::POST, &peer.url(), &[], "x").await.is_err());
    }
}
