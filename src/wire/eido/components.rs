//! The components of NENA-STA-021.1b-2022 and the 1.1 draft that something is decided from, as they are read.

use super::person::NiemPerson;
use super::read::{Component, ComponentVisitor, Read, Reading, component, member};
use super::shapes::{Id, Lead, Number, Place, Reference, StatedFacts, Text};
use serde::de::{Deserializer, MapAccess};
use std::marker::PhantomData;

component! {
    /// The object itself (`EmergencyIncidentDataObjectType`).
    Eido {
        id: Id<'a> = "$id",
        updated: Text<'a> = "lastUpdateTimeStamp",
        agency: Option<Reference<'a>> = "updatedByAgencyReference",
        version: Text<'a> = "eidoVersion",
        element: Text<'a> = "issuingElementIdentification",
        incident: Lead<Incident<'a>> = "incidentComponent",
        calls: Vec<Call<'a>> = "callComponent",
        callbacks: Vec<Callback<'a>> = "callbackComponent",
        notes: Vec<NoteComponent<'a>> = "notesComponent" or "noteComponent",
        places: Vec<Locus<'a>> = "locationComponent",
        persons: Vec<PersonComponent<'a>> = "personComponent",
        resources: Vec<Resource<'a>> = "emergencyResourceComponent",
        alarms: Vec<Alarm<'a>> = "alarmsSensorsComponent" or "alarmsSensorComponent",
        cautions: Vec<CautionComponent<'a>> = "cautionComponent",
        merges: Vec<Merge<'a>> = "mergeComponent",
        links: Vec<Link<'a>> = "linkComponent",
        facts: StatedFacts = "x_fourth_facts",
    } unread [
        "updatedByAgentReference", "agencyComponent", "agentComponent", "additionalDataComponent", "@context",
        "dispatchComponent", "vehicleComponent", "eidoExtensionId",
        "mediaComponent", "sharedCommunicationResourceComponent", "externalInformationSourceComponent",
        "AlternateValueReferences", "externalInformationSourceReferences", "mediaReferences", "@type",
    ]
}

component! {
    /// The incident (`IncidentInformationType`).
    Incident {
        updated: Text<'a> = "lastUpdateTimeStamp",
        code: Text<'a> = "incidentTypeInternalCode",
        text: Text<'a> = "incidentTypeInternalText",
        common: Text<'a> = "incidentTypeCommonRegistryText",
        statuses: Vec<Text<'a>> = "incidentStatusCommonRegistryText",
        priority_text: Text<'a> = "incidentPriorityInternalText",
        priority: Number = "incidentCommonPriorityNumber",
        beat: Text<'a> = "beatOrDispatchGroupText",
        places: Vec<Reference<'a>> = "locationReference",
        dispositions: Vec<Disposition<'a>> = "dispositionComponent" or "disposition",
    } unread [
        "$id", "updatedByAgencyReference", "updatedByAgentReference", "incidentStatusInternalText",
        "internalIncidentId", "agentReference", "personReference", "vehicleReference", "documentIdentification",
        "reportNumberType", "notesReference", "organizationReference", "AlternateValueReferences",
        "externalInformationSourceReferences", "mediaReferences", "@type",
    ]
}

component! {
    /// How the incident ended (`DispositionType`).
    Disposition {
        code: Text<'a> = "dispositionCommonRegistryCode",
        category: Text<'a> = "dispositionCategoryText",
        text: Text<'a> = "dispositionDescriptionText",
    } unread [
        "$id", "lastUpdateTimeStamp", "updatedByAgencyReference", "updatedByAgentReference",
        "dispositionPrimaryIndicator", "notesReference", "AlternateValueReferences",
        "externalInformationSourceReferences", "mediaReferences", "@type",
    ]
}

component! {
    /// A call (`CallInformationType`).
    Call {
        primary_type: Text<'a> = "standardPrimaryCallType",
        local_type: Text<'a> = "localCallType",
        started: Text<'a> = "callStartTimestamp",
        answered: Text<'a> = "answerDate",
    } unread [
        "$id", "lastUpdateTimeStamp", "updatedByAgencyReference", "updatedByAgentReference",
        "relatedCallIdentifier", "queueIdentifier", "standardSecondaryCallType", "direction",
        "additionalDataReference", "callStateRegistryText", "callBackReference", "verstat", "sipIdentity",
        "agentReference", "locationReference", "personReference", "notesReference", "priorityIdentifier",
        "organizationReference", "agencyReference", "AlternateValueReferences",
        "externalInformationSourceReferences", "mediaReferences", "@type",
    ]
}

component! {
    /// How to call back (`CallbackType`).
    Callback {
        id: Id<'a> = "$id",
        uris: Vec<Text<'a>> = "callBackInformationUri",
        updated_number: Option<UpdatedNumber<'a>> = "updatedCbn",
    } unread [
        "lastUpdateTimeStamp", "updatedByAgencyReference", "updatedByAgentReference", "deviceContactHeader",
        "AlternateValueReferences", "externalInformationSourceReferences", "mediaReferences", "@type",
    ]
}

component! {
    /// A corrected call-back number (`UpdatedCBNType`).
    UpdatedNumber {
        uri: Text<'a> = "updatedCbnIdentifierUri",
    } unread ["updatedCbnCallerDescription"] text uri
}

component! {
    /// A note (`NotesType`).
    NoteComponent {
        updated: Text<'a> = "lastUpdateTimeStamp",
        comments: Text<'a> = "notesActionComments",
    } unread [
        "$id", "updatedByAgencyReference", "updatedByAgentReference", "agentReference", "cautionReference",
        "AlternateValueReferences", "externalInformationSourceReferences", "mediaReferences", "@type",
    ] text comments
}

component! {
    /// A place (`LocationInformationType`).
    Locus {
        id: Id<'a> = "$id",
        role: Text<'a> = "locationTypeDescriptionRegistryText",
        place: Option<Place<'a>> = "locationByValue",
        description: Text<'a> = "locationDescriptionText",
        reference: Text<'a> = "locationByReferenceUrl",
    } unread [
        "lastUpdateTimeStamp", "updatedByAgencyReference", "updatedByAgentReference", "crossStreetByValue",
        "crossStreetByReferenceUrl", "intersectingStreetByValue", "intersectingStreetByReferenceUrl",
        "cellTowerSectorId", "additionalDataReference", "notesReference", "locationDereferencedFromReference",
        "localIdentifier", "AlternateValueReferences", "externalInformationSourceReferences", "mediaReferences",
        "@type",
    ]
}

component! {
    /// A person (`PersonInformationType`).
    PersonComponent {
        niem: NiemPerson<'a> = "ncPersonComponent",
        roles: Vec<Text<'a>> = "personIncidentRoleRegistryText",
        callback: Option<Reference<'a>> = "callBackReference",
    } unread [
        "$id", "lastUpdateTimeStamp", "updatedByAgencyReference", "updatedByAgentReference", "callIdentifier",
        "additionalDataReference", "locationReference", "notesReference", "destinationReference", "eta",
        "personCallLegState", "itemReference", "AlternateValueReferences", "externalInformationSourceReferences",
        "mediaReferences", "@type",
    ]
}

component! {
    /// A unit (`EmergencyResourceType`).
    Resource {
        id: Id<'a> = "$id",
        updated: Text<'a> = "lastUpdateTimeStamp",
        name: Text<'a> = "emergencyResourceName",
        kind: Text<'a> = "emergencyResourceTypeCommonRegistryText",
        kind_text: Text<'a> = "emergencyResourceTypeInternalText",
        statuses: Vec<Text<'a>> = "secondaryUnitStatusRegistryText",
        active_on: Id<'a> = "activeOnIncidentId",
    } unread [
        "updatedByAgencyReference", "updatedByAgentReference", "eta", "resourceAttributeRegistryText",
        "primaryUnitStatusRegistryText", "notesReference", "unitStatusInternal", "agentReference",
        "unitLocationReference", "unitDestinationReference", "personReference", "vehicleReference",
        "resourceAttributeInternalText", "itemReference", "stackedOnIncidentId", "AlternateValueReferences",
        "externalInformationSourceReferences", "mediaReferences", "@type",
    ]
}

component! {
    /// An alarm (`AlarmsSensorsType`); that there is one says how the incident came in.
    Alarm {
        id: Id<'a> = "$id",
    } unread [
        "lastUpdateTimeStamp", "updatedByAgencyReference", "updatedByAgentReference", "csaaAlarmInformation",
        "alarmUrl", "agentReference", "notesReference", "AlternateValueReferences",
        "externalInformationSourceReferences", "mediaReferences", "@type",
    ]
}

component! {
    /// A caution (`CautionType`, 1.1 draft).
    CautionComponent {
        text: Text<'a> = "cautionTypeInternalText",
        common: Text<'a> = "cautionTypeCommonRegistryText",
        further: Vec<Text<'a>> = "cautionTypeCommonSubRegistryText",
        severity: Text<'a> = "cautionSeverity",
    } unread [
        "$id", "lastUpdateTimeStamp", "updatedByAgencyReference", "updatedByAgentReference", "cautionSource",
        "startDate", "AlternateValueReferences", "externalInformationSourceReferences", "mediaReferences", "@type",
    ] text text
}

component! {
    /// A merge or split (`MergeInformationType`).
    Merge {
        incident: Id<'a> = "incidentTrackingIdentifier",
        direction: Text<'a> = "incidentMergeDirectionCode",
    } unread [
        "$id", "lastUpdateTimeStamp", "updatedByAgencyReference", "updatedByAgentReference",
        "AlternateValueReferences", "externalInformationSourceReferences", "mediaReferences", "@type",
    ]
}

component! {
    /// A link (`LinkInformationType`).
    Link {
        incident: Id<'a> = "incidentTrackingIdentifier",
        direction: Text<'a> = "linkDirectionCode",
    } unread [
        "$id", "lastUpdateTimeStamp", "updatedByAgencyReference", "updatedByAgentReference", "transactionReasonText",
        "involvedAgencyReference", "AlternateValueReferences", "externalInformationSourceReferences",
        "mediaReferences", "@type",
    ]
}

impl<'a, T: Component<'a>> Read<'a> for Option<T> {
    fn read<D: Deserializer<'a>>(reading: &mut Reading, from: D) -> Result<Self, D::Error> {
        T::read(reading, from).map(Some)
    }
}
