//! Which changed objects are worth one archive.
//!
//! An archive holds everything below a folder, wanted or not. Groups grow from the leaves up: a folder's objects join those
//! of its parent as long as all of it is small enough for one answer and most of it is wanted.
//!
//! Invariant: an object is in one group at a time, and a folder that can be no archive makes none of the folders above it one.

use super::found::Found;

/// More objects than this are no group, however small they are.
const MOST_PENDING: usize = 2_000;

/// Fewer objects than this are read one by one.
const FEWEST_PENDING: usize = 3;

/// So much that nobody wants is always fine.
const FREE_WASTE: u64 = 512 << 10;

/// Objects whose content is still to be read, and what an archive of their folder would hold.
#[derive(Debug)]
pub(super) struct Group {
    /// The folder they all lie in.
    pub(super) root: String,
    /// What is still to be read, with its estimated length.
    pub(super) pending: Vec<(Found, u64)>,
    /// The estimated length of everything in the folder.
    total: u64,
    /// The folder can be no archive.
    sealed: bool,
}

impl Group {
    pub(super) fn new(root: &str) -> Self {
        Self {
            root: root.to_owned(),
            pending: Vec::new(),
            total: 0,
            sealed: false,
        }
    }

    /// Counts something that lies in the folder and is not wanted.
    pub(super) fn count(&mut self, len: u64) {
        self.total = self.total.saturating_add(len);
    }

    /// Adds something wanted.
    pub(super) fn push(&mut self, found: Found, len: u64) {
        self.count(len);
        self.pending.push((found, len));
    }

    /// Something in the folder is of unknown size, or would be in the archive a second time.
    pub(super) fn seal(&mut self) {
        self.sealed = true;
    }

    /// Whether one archive is better than single exports.
    pub(super) fn is_worth_an_archive(&self) -> bool {
        !self.sealed && self.pending.len() >= FEWEST_PENDING && !self.is_wasteful()
    }

    /// The estimated length of all that an archive would hold.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Parts of the group that make smaller archives: those below each folder, and what lies in the root itself.
    pub(super) fn split(self) -> (Vec<Found>, Vec<Group>) {
        let mut direct = Vec::new();
        let mut parts: Vec<Group> = Vec::new();
        let prefix = format!("{}/", self.root.trim_end_matches('/'));
        for (found, len) in self.pending {
            let inside = found.path().strip_prefix(&prefix).unwrap_or_default();
            let Some((folder, _)) = inside.split_once('/') else {
                direct.push(found);
                continue;
            };
            let root = format!("{prefix}{folder}");
            match parts.iter_mut().find(|part| part.root == root) {
                Some(part) => part.push(found, len),
                None => {
                    let mut part = Group::new(&root);
                    part.push(found, len);
                    parts.push(part);
                }
            }
        }
        (direct, parts)
    }

    fn is_wasteful(&self) -> bool {
        is_wasteful(self.wanted(), self.total)
    }

    fn wanted(&self) -> u64 {
        self.pending.iter().map(|(_, len)| len).sum()
    }
}

fn is_wasteful(wanted: u64, total: u64) -> bool {
    total > wanted.saturating_mul(4).saturating_add(FREE_WASTE)
}

/// A folder whose subfolders are still being walked.
#[derive(Debug)]
pub(super) struct Open {
    own: Group,
    below: Vec<Group>,
    total: u64,
    pending: usize,
    sealed: bool,
}

impl Open {
    /// Begins with what lies directly in the folder.
    pub(super) fn new(own: Group) -> Self {
        Self {
            total: own.total,
            pending: own.pending.len(),
            sealed: own.sealed,
            own,
            below: Vec::new(),
        }
    }

    /// Takes a finished subfolder. Returns groups to be read now, because they can no longer be part of a larger one.
    pub(super) fn add(&mut self, below: Group, limit: u64) -> Vec<Group> {
        self.total = self.total.saturating_add(below.total);
        self.pending += below.pending.len();
        self.sealed |= below.sealed || self.total > limit || self.pending > MOST_PENDING;
        self.below.push(below);
        if self.sealed {
            self.release()
        } else {
            Vec::new()
        }
    }

    /// All subfolders are done. Returns what the parent gets, and groups to be read now.
    pub(super) fn close(mut self, limit: u64) -> (Group, Vec<Group>) {
        self.sealed |= self.total > limit || self.pending > MOST_PENDING;
        let wanted = self.own.wanted() + self.below.iter().map(Group::wanted).sum::<u64>();
        let mut up = Group {
            root: self.own.root.clone(),
            pending: Vec::new(),
            total: self.total,
            sealed: self.sealed,
        };
        if self.sealed || is_wasteful(wanted, self.total) {
            return (up, self.release());
        }
        up.pending = self.own.pending;
        let below = self.below.into_iter();
        up.pending.extend(below.flat_map(|group| group.pending));
        (up, Vec::new())
    }

    /// Everything waiting, the folder's own objects as a group that can be no archive.
    fn release(&mut self) -> Vec<Group> {
        let mut own = Group::new(&self.own.root);
        own.pending = std::mem::take(&mut self.own.pending);
        own.seal();
        let mut groups = std::mem::take(&mut self.below);
        groups.push(own);
        groups.retain(|group| !group.pending.is_empty());
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::super::found::tests::notebook;
    use super::*;

    const KIB: u64 = 1 << 10;
    const LIMIT: u64 = 100 * KIB;

    fn group(root: &str, names: &[&str], len: u64) -> Group {
        let mut group = Group::new(root);
        for name in names {
            group.push(notebook(&format!("{root}/{name}")), len);
        }
        group
    }

    fn roots(groups: &[Group]) -> Vec<(&str, usize)> {
        let groups = groups.iter();
        groups
            .map(|group| (group.root.as_str(), group.pending.len()))
            .collect()
    }

    #[test]
    fn small_folders_become_one_archive_of_their_parent() {
        let mut open = Open::new(group("/a", &["x"], KIB));
        assert!(open.add(group("/a/b", &["x"], KIB), LIMIT).is_empty());
        assert!(open.add(group("/a/c", &["x"], KIB), LIMIT).is_empty());
        let (up, now) = open.close(LIMIT);
        assert_eq!(roots(&[up]), [("/a", 3)]);
        assert!(now.is_empty());
    }

    #[test]
    fn what_would_overflow_is_read_folder_by_folder_and_so_is_everything_above() {
        let mut open = Open::new(group("/a", &["x"], KIB));
        assert!(
            open.add(group("/a/b", &["x", "y", "z"], 25 * KIB), LIMIT)
                .is_empty()
        );
        let now = open.add(group("/a/c", &["x", "y", "z"], 25 * KIB), LIMIT);
        assert_eq!(roots(&now), [("/a/b", 3), ("/a/c", 3), ("/a", 1)]);
        assert!(now[0].is_worth_an_archive() && !now[2].is_worth_an_archive());
        // What comes later has nothing to wait for.
        assert_eq!(
            roots(&open.add(group("/a/d", &["x"], KIB), LIMIT)),
            [("/a/d", 1)]
        );
        let (up, now) = open.close(LIMIT);
        assert!(now.is_empty());
        let mut above = Open::new(Group::new("/"));
        assert!(above.add(up, LIMIT).is_empty());
        assert_eq!(
            roots(&above.add(group("/b", &["x"], KIB), LIMIT)),
            [("/b", 1)]
        );
    }

    #[test]
    fn few_changed_objects_among_many_are_not_worth_the_whole_folder() {
        let limit = 100 << 20;
        let mut open = Open::new(Group::new("/a"));
        let mut unchanged = Group::new("/a/old");
        unchanged.count(5 << 20);
        assert!(open.add(unchanged, limit).is_empty());
        assert!(
            open.add(group("/a/new", &["x", "y", "z"], KIB), limit)
                .is_empty()
        );
        let (up, now) = open.close(limit);
        assert_eq!(roots(&now), [("/a/new", 3)]);
        assert!(now[0].is_worth_an_archive());
        assert_eq!((up.pending.len(), up.total()), (0, (5 << 20) + 3 * KIB));
    }

    #[test]
    fn two_objects_are_read_one_by_one() {
        assert!(!group("/a", &["x", "y"], KIB).is_worth_an_archive());
    }

    #[test]
    fn a_group_too_large_for_the_service_is_split_by_folder() {
        let mut whole = group("/a", &["x"], KIB);
        for name in ["b/x", "b/c/y", "d/z"] {
            whole.push(notebook(&format!("/a/{name}")), KIB);
        }
        let (direct, parts) = whole.split();
        assert_eq!(direct.len(), 1);
        assert_eq!(roots(&parts), [("/a/b", 2), ("/a/d", 1)]);
    }
}
