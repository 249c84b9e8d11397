//! What carries messages: HTTP, mail and EIDO conveyance, made once from the settings.

use super::client::{ClientFault, HttpClient, roots};
use super::conveyance::Conveyance;
use super::email::{MailAddress, Mailer};
use super::names::Names;
use super::retry::Answer;
use super::settings::Settings;
use crate::network::Dial;

/// The carriers of one outbox.
#[derive(Debug, Clone)]
pub struct Carriers {
    pub(super) http: HttpClient,
    mailer: Option<Mailer>,
    pub(super) conveyance: Option<Conveyance>,
}

impl Carriers {
    /// The carriers that the settings ask for; the settings are checked. HTTP goes by `dial` on a simulated network.
    ///
    /// # Errors
    /// What in the settings is missing, contradicts, or cannot be read.
    pub fn new(settings: &Settings, dial: Option<Dial>) -> Result<Self, ClientFault> {
        settings.check().map_err(ClientFault)?;
        let ca_file = settings.ca_file.as_deref();
        let mailer = settings.mail.as_ref().map(|mail| Mailer::new(mail, ca_file)).transpose()?;
        let names = Names::new(&settings.fallback_addresses);
        let conveyance = |conveyance| {
            let authorities = match ca_file {
                Some(path) => roots(path)?,
                None => return Err(ClientFault("`conveyance` needs `ca_file`: the authority of the peers".to_owned())),
            };
            Conveyance::new(conveyance, authorities, names.clone())
        };
        let conveyance = settings.conveyance.as_ref().map(conveyance).transpose()?;
        Ok(Self { http: HttpClient::new(ca_file, names, dial)?, mailer, conveyance })
    }

    /// Sends a notice by mail once.
    pub(super) async fn mail(&self, key: &str, to: &[MailAddress], subject: &str, text: &[u8]) -> Answer {
        match &self.mailer {
            Some(mailer) => mailer.send(key, to, subject, text).await,
            None => Answer::Refused("no-mail-server".to_owned()),
        }
    }
}
