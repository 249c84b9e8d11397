//! The words of the closed sets, as they stand in reports, and the APCO codes of the dispositions.

use super::{BackupService, DeclineCause, Disposition};

impl Disposition {
    /// Every disposition, in the order of the type.
    pub const ALL: [Self; 11] = [
        Self::Treated,
        Self::Supported,
        Self::ResolvedByPhone,
        Self::Refused,
        Self::CouldNotLocate,
        Self::GoneOnArrival,
        Self::OtherResponderFirst,
        Self::Cancelled,
        Self::Transported,
        Self::Transferred,
        Self::Referred,
    ];

    /// The name in JSON, reports and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Treated => "treated",
            Self::Supported => "supported",
            Self::ResolvedByPhone => "resolved-by-phone",
            Self::Refused => "refused",
            Self::CouldNotLocate => "could-not-locate",
            Self::GoneOnArrival => "gone-on-arrival",
            Self::OtherResponderFirst => "other-responder-first",
            Self::Cancelled => "cancelled",
            Self::Transported => "transported",
            Self::Transferred => "transferred",
            Self::Referred => "referred",
        }
    }

    /// The nearest Common Disposition Code of APCO ANS 1.111.2-2018.
    #[must_use]
    pub fn apco_code(self) -> &'static str {
        match self {
            // Patient Treated, Released (Without Transport)
            Self::Treated => "43",
            // Assignment Completed/Settled By Contact
            Self::Supported => "18",
            // Assignment Completed/Settled By Phone Contact
            Self::ResolvedByPhone => "05",
            // Patient Refused Evaluation/Care
            Self::Refused => "42",
            // Gone On Arrival (GOA)/Unable To Locate (UATL): the standard has one code for both
            Self::CouldNotLocate | Self::GoneOnArrival => "14",
            // Standby-No Services or Support Provided: the team came and another had it in hand
            Self::OtherResponderFirst => "35",
            // Unit Cancelled enroute
            Self::Cancelled => "21",
            // Transport/Escort Given
            Self::Transported => "16",
            // Referred to partner agency/Animal Control/Medics/Fire, etc; 44 is for EMS to EMS only
            Self::Transferred | Self::Referred => "15",
        }
    }
}

impl DeclineCause {
    /// Every cause, in the order of the type.
    pub const ALL: [Self; 7] = [
        Self::Busy,
        Self::Unsafe,
        Self::OutOfMandate,
        Self::TooFar,
        Self::EndOfShift,
        Self::OtherArrangement,
        Self::Other,
    ];

    /// The name in JSON, reports and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Unsafe => "unsafe",
            Self::OutOfMandate => "out-of-mandate",
            Self::TooFar => "too-far",
            Self::EndOfShift => "end-of-shift",
            Self::OtherArrangement => "other-arrangement",
            Self::Other => "other",
        }
    }
}

impl BackupService {
    /// Every service, in the order of the type.
    pub const ALL: [Self; 3] = [Self::Police, Self::Ems, Self::Fire];

    /// The name in JSON, reports and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Police => "police",
            Self::Ems => "ems",
            Self::Fire => "fire",
        }
    }
}
