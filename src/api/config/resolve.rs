//! The rules by which settings are put together.
//!
//! Invariant: a value that is set already is never replaced; an empty one counts as not set.

use std::collections::BTreeMap;

use super::attribute::Family;
use super::profiles::{FALLBACK, Profiles};
use super::{Attribute, ConfigError, Origin, Overrides, ProfileFile, Setting, Settings};
use crate::api::auth::Strategy;
use crate::api::host::Host;
use crate::api::secret::Secret;

pub(super) fn is_true(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "true" | "1" | "yes" | "t"
    )
}

pub(super) fn layer(
    attribute: Attribute,
    explicit: &Overrides,
    environment: &BTreeMap<String, String>,
) -> Option<Setting> {
    let given = explicit
        .0
        .get(&attribute)
        .filter(|value| !value.expose().is_empty());
    if let Some(value) = given {
        return Some(Setting {
            value: value.clone(),
            origin: Origin::Explicit,
        });
    }
    attribute.variables().iter().find_map(|variable| {
        let value = environment
            .get(*variable)
            .filter(|value| !value.is_empty())?;
        Some(Setting {
            value: Secret::new(value),
            origin: Origin::Environment(variable),
        })
    })
}

/// Fills in from the profile file what is not set yet. The file is not even read if host or credentials are there and
/// nobody asked for a profile.
pub(super) fn add_profile(
    settings: &mut Settings,
    file: Option<ProfileFile<'_>>,
) -> Result<Option<String>, ConfigError> {
    let asked = settings
        .get(&Attribute::Profile)
        .map(|setting| setting.value.expose().to_owned());
    let is_set = settings
        .keys()
        .any(|attribute| *attribute == Attribute::Host || attribute.family().is_some());
    if asked.is_none() && is_set {
        return Ok(None);
    }
    let Some((path, text)) = file.and_then(|file| Some((file.path, file.text?))) else {
        return match asked {
            Some(name) => Err(ConfigError::MissingFile {
                path: file.map(|file| file.path.to_owned()),
                profile: name,
            }),
            None => Ok(None),
        };
    };
    let profiles = Profiles::parse(text).map_err(|source| ConfigError::BrokenFile {
        path: path.to_owned(),
        line: source.line,
        what: source.what,
    })?;
    let name = asked
        .clone()
        .unwrap_or_else(|| profiles.fallback().to_owned());
    let Some(section) = profiles.get(&name) else {
        // Missing is an error for a name that somebody gave, in the file itself or elsewhere.
        if asked.is_none() && name == FALLBACK {
            return Ok(None);
        }
        return Err(ConfigError::UnknownProfile {
            path: path.to_owned(),
            name,
            known: profiles.names(),
        });
    };
    for attribute in Attribute::all() {
        let value = section
            .get(attribute.key())
            .filter(|value| !value.is_empty());
        if let Some(value) = value {
            let origin = Origin::Profile {
                name: name.clone(),
                file: path.to_owned(),
            };
            settings.entry(attribute).or_insert_with(|| Setting {
                value: Secret::new(value),
                origin,
            });
        }
    }
    Ok(Some(name))
}

pub(super) fn host_of(settings: &Settings) -> Result<Host, ConfigError> {
    let Some(setting) = settings.get(&Attribute::Host) else {
        return Err(ConfigError::NoHost);
    };
    Host::parse(setting.value.expose()).map_err(|source| ConfigError::BadHost {
        origin: setting.origin.clone(),
        source,
    })
}

/// The ways to authenticate that the settings allow. Credentials that were given are the only ones tried: going on to
/// somebody else's login after a wrong secret would be a surprise.
pub(super) fn strategies(settings: &Settings, host: &Host) -> Result<Vec<Strategy>, ConfigError> {
    let has = |attribute| settings.contains_key(&attribute);
    let needed = |strategy: Strategy| {
        let missing: Vec<_> = strategy
            .needs()
            .iter()
            .copied()
            .filter(|attribute| !has(*attribute))
            .collect();
        if missing.is_empty() {
            Ok(strategy)
        } else {
            Err(ConfigError::Incomplete { strategy, missing })
        }
    };
    if let Some(forced) = settings.get(&Attribute::AuthType) {
        let name = forced.value.expose();
        let strategy = Strategy::from_name(name).ok_or_else(|| ConfigError::UnknownAuthType {
            name: name.to_owned(),
            origin: forced.origin.clone(),
        })?;
        return needed(strategy).map(|strategy| vec![strategy]);
    }
    let Some(family) = only_family(settings)? else {
        return Ok(Strategy::without_credentials(host));
    };
    let strategy = match family {
        Family::Pat => Strategy::Pat,
        Family::Basic => Strategy::Basic,
        Family::Oauth => Strategy::OauthM2m,
        Family::Azure
            if settings
                .get(&Attribute::AzureUseMsi)
                .is_some_and(|setting| is_true(setting.value.expose())) =>
        {
            Strategy::AzureMsi
        }
        Family::Azure if has(Attribute::AzureClientId) || has(Attribute::AzureClientSecret) => {
            Strategy::AzureClientSecret
        }
        // Only a tenant or a resource id: that leaves the login of the Azure program.
        Family::Azure => Strategy::AzureCli,
        Family::Google => {
            return Err(ConfigError::Unsupported {
                method: family.to_string(),
            });
        }
    };
    needed(strategy).map(|strategy| vec![strategy])
}

/// The family of the credentials that were given, if there are any; two are one too many.
fn only_family(settings: &Settings) -> Result<Option<Family>, ConfigError> {
    let mut given: BTreeMap<Family, Attribute> = BTreeMap::new();
    for attribute in settings.keys() {
        if let Some(family) = attribute.family() {
            given.entry(family).or_insert(*attribute);
        }
    }
    let mut methods = given.iter();
    let first = methods.next();
    if let (Some((first, a)), Some((second, b))) = (first, methods.next()) {
        let named = |attribute: &Attribute| format!("{attribute} {}", settings[attribute].origin);
        return Err(ConfigError::SeveralMethods {
            methods: format!("{first} ({}) and {second} ({})", named(a), named(b)),
        });
    }
    Ok(first.map(|(family, _)| *family))
}
