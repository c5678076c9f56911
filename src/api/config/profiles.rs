//! The profile file (`~/.databrickscfg`).
//!
//! Invariant: no error shows a line of the file, for any line may hold a token.

use std::collections::BTreeMap;

/// The section for whoever names none.
pub(super) const FALLBACK: &str = "DEFAULT";
/// The section that is no profile.
const SETTINGS: &str = "__settings__";

/// A profile file, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Profiles {
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

/// A line that is neither section nor setting nor comment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is {what}")]
pub(super) struct BrokenLine {
    pub(super) line: usize,
    pub(super) what: &'static str,
}

impl Profiles {
    pub(super) fn parse(text: &str) -> Result<Profiles, BrokenLine> {
        let mut profiles = Profiles::default();
        let mut section = FALLBACK.to_owned();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim();
            let broken = |what| BrokenLine {
                line: index + 1,
                what,
            };
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(rest) = line.strip_prefix('[') {
                let (name, _) = rest
                    .split_once(']')
                    .ok_or(broken("a section without its closing bracket"))?;
                section = name.trim().to_owned();
                profiles.sections.entry(section.clone()).or_default();
                continue;
            }
            let at = line
                .find(['=', ':'])
                .ok_or(broken("neither a [section] nor a `key = value`"))?;
            let key = line[..at].trim().to_ascii_lowercase();
            if key.is_empty() {
                return Err(broken("a value without a key"));
            }
            let value = unquoted(without_comment(line[at + 1..].trim()));
            profiles
                .sections
                .entry(section.clone())
                .or_default()
                .insert(key, value.to_owned());
        }
        Ok(profiles)
    }

    /// A profile by name, unless it is empty: then it is as good as missing.
    pub(super) fn get(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        if name == SETTINGS {
            return None;
        }
        self.sections
            .get(name)
            .filter(|settings| !settings.is_empty())
    }

    /// The name of the profile for whoever names none.
    pub(super) fn fallback(&self) -> &str {
        let chosen = self
            .sections
            .get(SETTINGS)
            .and_then(|settings| settings.get("default_profile"));
        chosen
            .map(String::as_str)
            .filter(|name| !name.is_empty())
            .unwrap_or(FALLBACK)
    }

    /// The names of all profiles there are.
    pub(super) fn names(&self) -> Vec<String> {
        self.sections
            .keys()
            .filter(|name| self.get(name).is_some())
            .cloned()
            .collect()
    }
}

/// A comment behind a value needs a space before it: `#` is a character of passwords and addresses.
fn without_comment(value: &str) -> &str {
    let mut before = ' ';
    for (at, c) in value.char_indices() {
        if matches!(c, '#' | ';') && before.is_whitespace() {
            return value[..at].trim_end();
        }
        before = c;
    }
    value
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\'', '`'] {
        if let Some(inner) = value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fuzz;
    use proptest::prelude::*;

    #[test]
    fn sections_comments_and_both_separators_are_read() {
        let text = "\u{feff}# mine\r\ntoken = top\r\n\r\n[ DEMO ]\r\nhost : https://x:8443 # there\r\nTOKEN=a#b;c\n\
                    ; no\n[EMPTY]\n[__settings__]\ndefault_profile = DEMO\n[DEMO]\nusername = \"me\"\nclient_id =\n";
        let profiles = Profiles::parse(text).unwrap();
        let demo = profiles.get("DEMO").unwrap();
        assert_eq!(demo["host"], "https://x:8443");
        assert_eq!(demo["token"], "a#b;c");
        assert_eq!(demo["username"], "me");
        assert_eq!(demo["client_id"], "");
        assert_eq!(profiles.get("DEFAULT").unwrap()["token"], "top");
        assert_eq!(profiles.fallback(), "DEMO");
        assert_eq!(profiles.names(), ["DEFAULT", "DEMO"]);
        assert!(profiles.get("EMPTY").is_none() && profiles.get("__settings__").is_none());
    }

    #[test]
    fn a_broken_line_is_named_by_number_only() {
        for (text, line) in [
            ("[DEMO\n", 1),
            ("[D]\nhost = x\ndapi0123456789\n", 3),
            ("= dapi0123\n", 1),
        ] {
            let broken = Profiles::parse(text).unwrap_err();
            assert_eq!(broken.line, line);
            assert!(!broken.to_string().contains("dapi"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\[|\\]|=|:|#|;|\"|'|\r|\n| |\t|a|é|DEFAULT|[ -~]){0,60}") {
            if let Ok(profiles) = Profiles::parse(&text) {
                profiles.names();
                profiles.fallback();
            }
        }

        #[test]
        fn what_is_written_plainly_is_read_back(
            name in "[A-Za-z][A-Za-z0-9_.-]{0,12}",
            key in "[a-z_]{1,12}",
            value in "[A-Za-z0-9/+_.@=-]{0,40}",
        ) {
            let profiles = Profiles::parse(&format!("[{name}]\n{key} = {value}\n")).unwrap();
            prop_assert_eq!(&profiles.get(&name).unwrap()[&key], &value);
        }
    }

    #[test]
    fn fuzzed_files_are_refused_with_a_line_that_is_there_or_read() {
        let good = "\u{feff}# mine\r\n[DEFAULT]\nhost = https://x\ntoken: \"dapi0123456789\"\n[__settings__]\n\
                    default_profile = DEMO\n[DEMO]\nclient_id = a#b ; c\n";
        let fuzzed = fuzz("profiles", &[good.into()], |bytes| {
            let text = String::from_utf8_lossy(bytes);
            match Profiles::parse(&text) {
                Ok(profiles) => {
                    let names = profiles.names();
                    assert!(names.iter().all(|name| profiles.get(name).is_some()));
                    profiles.get(profiles.fallback());
                    true
                }
                Err(broken) => {
                    assert!((1..=text.lines().count()).contains(&broken.line));
                    false
                }
            }
        });
        assert!(fuzzed.accepted > 0);
    }
}
