//! The words of the closed sets, as they stand in reports, and the APCO codes of the dispositions.

use super::{BackupService, DeclineCause, Disposition, Party};

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

    /// True where the team was in touch with the person: follow-ups are owed after contact only.
    #[must_use]
    pub fn is_contact(self) -> bool {
        match self {
            Self::Treated
            | Self::Supported
            | Self::ResolvedByPhone
            | Self::Refused
            | Self::Transported
            | Self::Transferred
            | Self::Referred => true,
            Self::CouldNotLocate | Self::GoneOnArrival | Self::OtherResponderFirst | Self::Cancelled => false,
        }
    }

    /// Who may be named with it: by whom transported, to whom transferred or referred. Empty where nobody is.
    #[must_use]
    pub fn parties(self) -> &'static [Party] {
        match self {
            Self::Transported => &[
                Party::Team,
                Party::Ems,
                Party::Police,
                Party::Fire,
                Party::OtherTeam,
                Party::Family,
                Party::Ride,
                Party::Other,
            ],
            Self::Transferred => &[
                Party::Ems,
                Party::Police,
                Party::Fire,
                Party::OtherTeam,
                Party::Family,
                Party::Hospital,
                Party::CrisisCentre,
                Party::CrisisLine,
                Party::Other,
            ],
            Self::Referred => &[
                Party::OtherTeam,
                Party::Hospital,
                Party::CrisisCentre,
                Party::CrisisLine,
                Party::InformationLine,
                Party::HealthCare,
                Party::Housing,
                Party::SocialServices,
                Party::Other,
            ],
            Self::Treated
            | Self::Supported
            | Self::ResolvedByPhone
            | Self::Refused
            | Self::CouldNotLocate
            | Self::GoneOnArrival
            | Self::OtherResponderFirst
            | Self::Cancelled => &[],
        }
    }
}

impl Party {
    /// Every party, in the order of the type.
    pub const ALL: [Self; 15] = [
        Self::Team,
        Self::Ems,
        Self::Police,
        Self::Fire,
        Self::OtherTeam,
        Self::Family,
        Self::Ride,
        Self::Hospital,
        Self::CrisisCentre,
        Self::CrisisLine,
        Self::InformationLine,
        Self::HealthCare,
        Self::Housing,
        Self::SocialServices,
        Self::Other,
    ];

    /// The name in JSON, reports and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Ems => "ems",
            Self::Police => "police",
            Self::Fire => "fire",
            Self::OtherTeam => "other-team",
            Self::Family => "family",
            Self::Ride => "ride",
            Self::Hospital => "hospital",
            Self::CrisisCentre => "crisis-centre",
            Self::CrisisLine => "crisis-line",
            Self::InformationLine => "information-line",
            Self::HealthCare => "health-care",
            Self::Housing => "housing",
            Self::SocialServices => "social-services",
            Self::Other => "other",
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
