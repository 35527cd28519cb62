//! A keyspace in which everything holds, and for each invariant one in which it does not, planted at a job or queue
//! that chance picks.

use std::collections::{BTreeMap, BTreeSet};

use super::{Circumstances, Invariant, check};
use crate::generate::Chance;
use crate::keyspace::{Content, Entry, Keyspace};

const NOW_MS: u64 = 1_700_000_100_000;

/// How many times each violation is planted, each time elsewhere.
const PLANTINGS: u64 = 50;

/// A keyspace that can be spoilt.
struct Garden {
    keys: Keyspace,
    chance: Chance,
}

impl Garden {
    /// A queue with two jobs in each state, a family, a scheduler, deduplication, limits and metrics.
    fn legal(seed: u64) -> Self {
        let mut garden = Self { keys: Keyspace::new(), chance: Chance::seeded(seed) };
        garden.hash("meta", &[("opts.maxLenEvents", "10000")]);
        garden.text("id", "50", false);
        garden.list("wait", &["w1", "w2"]);
        garden.list("active", &["a1", "a2"]);
        garden.sorted("prioritized", &[("p1", 4_294_967_297.0), ("p2", 2.0 * 4_294_967_296.0)]);
        let due = |at: f64| (1_700_000_000_000.0 + at) * 4096.0;
        garden.sorted(
            "delayed",
            &[("d1", due(200_000.0)), ("d2", due(200_000.0) + 1.0), ("repeat:s:1700000300000", due(300_000.0))],
        );
        garden.sorted("completed", &[("c1", 1_700_000_050_000.0), ("c2", 1_700_000_060_000.0)]);
        garden.sorted("failed", &[("f1", 1_700_000_050_000.0), ("f2", 1_700_000_060_000.0)]);
        garden.sorted("waiting-children", &[("parent", 1_700_000_000_000.0)]);
        garden.sorted("marker", &[("0", 0.0)]);
        for id in ["w1", "w2", "p1", "p2", "d1", "d2", "a1", "a2", "c1", "c2", "f1", "f2", "parent"] {
            garden.job(id);
        }
        garden.family();
        garden.rest();
        garden
    }

    fn job(&mut self, id: &str) {
        let number = id.trim_start_matches(char::is_alphabetic).to_owned();
        let (is_prioritized, is_delayed) = (id.starts_with('p') && id != "parent", id.starts_with('d'));
        let mut fields = vec![
            ("name", "n".to_owned()),
            ("timestamp", "1700000000000".to_owned()),
            ("delay", if is_delayed { "200000" } else { "0" }.to_owned()),
            ("priority", if is_prioritized { number } else { "0".to_owned() }),
        ];
        if id.starts_with(['a', 'c', 'f']) {
            fields.extend([("ats", "1".to_owned()), ("processedOn", "1700000040000".to_owned())]);
        }
        if id.starts_with(['c', 'f']) {
            let finished = if id.ends_with('1') { "1700000050000" } else { "1700000060000" };
            fields.extend([("atm", "1".to_owned()), ("finishedOn", finished.to_owned())]);
        }
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.hash(id, &fields);
        if id.starts_with('a') {
            self.text(&format!("{id}:lock"), "token", true);
        }
    }

    fn family(&mut self) {
        for child in ["w1", "c1", "f1", "f2"] {
            self.set_field(child, "parentKey", "bull:q:parent");
        }
        self.insert("parent:dependencies", Content::Set(BTreeSet::from(["bull:q:w1".to_owned()])), false);
        self.hash("parent:processed", &[("bull:q:c1", "1")]);
        self.hash("parent:failed", &[("bull:q:f1", "no")]);
        self.sorted("parent:unsuccessful", &[("bull:q:f2", 1.0)]);
    }

    fn rest(&mut self) {
        self.sorted("repeat", &[("s", 1_700_000_300_000.0)]);
        self.hash("repeat:s", &[("name", "tick"), ("ic", "1"), ("every", "300000")]);
        let iteration =
            [("name", "tick"), ("timestamp", "1700000000000"), ("delay", "300000"), ("priority", "0"), ("rjk", "s")];
        self.hash("repeat:s:1700000300000", &iteration);
        self.text("de:x", "w2", false);
        self.text("de:y", "gone", true);
        self.hash("dn:x", &[("jid", "later"), ("name", "n")]);
        self.text("limiter", "3", true);
        self.hash("metrics:completed", &[("count", "2"), ("prevTS", "1700000000000"), ("prevCount", "1")]);
        self.list("metrics:completed:data", &["1", "0"]);
    }

    fn insert(&mut self, suffix: &str, content: Content, expires: bool) {
        self.keys.insert(format!("bull:q:{suffix}"), Entry { content, expires });
    }

    fn text(&mut self, suffix: &str, text: &str, expires: bool) {
        self.insert(suffix, Content::Text(text.to_owned()), expires);
    }

    fn list(&mut self, suffix: &str, items: &[&str]) {
        self.insert(suffix, Content::List(items.iter().map(|item| (*item).to_owned()).collect()), false);
    }

    fn sorted(&mut self, suffix: &str, members: &[(&str, f64)]) {
        let members = members.iter().map(|(member, score)| ((*member).to_owned(), score.to_string())).collect();
        self.insert(suffix, Content::Sorted(members), false);
    }

    fn hash(&mut self, suffix: &str, fields: &[(&str, &str)]) {
        let fields: BTreeMap<String, String> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.insert(suffix, Content::Hash(fields), false);
    }

    fn remove(&mut self, suffix: &str) {
        self.keys.remove(&format!("bull:q:{suffix}"));
    }

    fn content(&mut self, suffix: &str) -> &mut Content {
        &mut self.keys.get_mut(&format!("bull:q:{suffix}")).unwrap().content
    }

    fn set_field(&mut self, suffix: &str, name: &str, value: &str) {
        let Content::Hash(fields) = self.content(suffix) else { panic!("{suffix} is no hash") };
        fields.insert(name.to_owned(), value.to_owned());
    }

    fn push(&mut self, suffix: &str, id: &str, score: f64) {
        match self.content(suffix) {
            Content::List(items) => items.push(id.to_owned()),
            Content::Sorted(members) => members.push((id.to_owned(), score.to_string())),
            Content::Set(members) => drop(members.insert(id.to_owned())),
            other => panic!("nothing is pushed to {other:?}"),
        }
    }

    /// Takes the workers away: then only a marker wakes somebody.
    fn idle(&mut self) {
        for id in ["a1", "a2"] {
            for suffix in [id.to_owned(), format!("{id}:lock")] {
                self.remove(&suffix);
            }
        }
        self.remove("active");
        self.remove("limiter");
    }

    fn one_of<const N: usize>(&mut self, ids: [&'static str; N]) -> &'static str {
        self.chance.one_of(ids)
    }

    fn found(&self) -> BTreeSet<Invariant> {
        let circumstances = Circumstances { rate_max: 5, ..Circumstances::new("bull", NOW_MS) };
        check(&self.keys, &circumstances).into_iter().map(|violation| violation.invariant).collect()
    }
}

/// Plants a violation in many places; each time it is found, and nothing else is.
fn planted(invariant: Invariant, plant: impl Fn(&mut Garden)) {
    for seed in 0..PLANTINGS {
        let mut garden = Garden::legal(seed);
        plant(&mut garden);
        assert_eq!(garden.found(), BTreeSet::from([invariant]), "seed {seed}");
    }
}

#[test]
fn in_a_legal_keyspace_everything_holds() {
    assert_eq!(Garden::legal(0).found(), BTreeSet::new());
    let mut idle = Garden::legal(0);
    idle.idle();
    assert_eq!(idle.found(), BTreeSet::new());
}

#[test]
fn a_job_in_two_states_or_twice_in_one_is_found() {
    planted(Invariant::OneState, |garden| {
        let state = garden.one_of(["wait", "paused", "wait"]);
        let id = garden.one_of(["w2", "p1", "parent"]);
        if state == "paused" {
            garden.list("paused", &[]);
        }
        // A prioritized job that waits as well has two places.
        garden.push(state, id, 0.0);
    });
}

#[test]
fn an_entry_without_a_job_is_found() {
    planted(Invariant::EntryIsJob, |garden| {
        let state = garden.one_of(["wait", "prioritized", "delayed", "completed", "failed"]);
        garden.push(state, "ghost", 1e15);
    });
}

#[test]
fn a_job_in_no_state_is_found() {
    planted(Invariant::JobHasState, |garden| garden.job("w3"));
}

#[test]
fn a_job_that_finished_and_does_not_say_when_is_found() {
    planted(Invariant::FinishedOn, |garden| match garden.chance.below(3) {
        0 => {
            let id = garden.one_of(["w1", "a1", "p2", "d1"]);
            garden.set_field(id, "finishedOn", "1700000050000");
        }
        1 => {
            let id = garden.one_of(["c1", "c2", "f1", "f2"]);
            garden.set_field(id, "finishedOn", "1700000099999");
        }
        _ => {
            let id = garden.one_of(["c1", "f2"]);
            let Content::Hash(fields) = garden.content(id) else { panic!("a job is a hash") };
            fields.remove("finishedOn");
        }
    });
}

#[test]
fn a_failed_job_that_is_still_to_fail_is_found() {
    planted(Invariant::DecidedFailure, |garden| {
        let id = garden.one_of(["f1", "f2"]);
        garden.set_field(id, "defa", "child failed");
    });
}

#[test]
fn a_lock_of_a_job_that_is_not_active_is_found() {
    planted(Invariant::LockIsOfActive, |garden| {
        let id = garden.one_of(["w1", "p1", "c2", "parent", "gone"]);
        garden.text(&format!("{id}:lock"), "token", true);
    });
}

#[test]
fn an_active_job_without_a_lock_that_ends_is_found_unless_its_worker_is_known_to_be_gone() {
    planted(Invariant::ActiveHasLock, |garden| {
        let id = garden.one_of(["a1", "a2"]);
        let lock = format!("{id}:lock");
        if garden.chance.percent(50) { garden.remove(&lock) } else { garden.text(&lock, "token", false) }
    });
    let mut garden = Garden::legal(0);
    garden.remove("a1:lock");
    let mut circumstances = Circumstances::new("bull", NOW_MS);
    circumstances.abandoned.insert("bull:q:a1".to_owned());
    assert_eq!(check(&garden.keys, &circumstances), []);
}

#[test]
fn work_that_no_marker_tells_of_is_found_when_nobody_is_awake() {
    planted(Invariant::BaseMarker, |garden| {
        garden.idle();
        garden.sorted("marker", &[("1", 1_700_000_200_000.0)]);
    });
    let mut garden = Garden::legal(0);
    garden.idle();
    garden.remove("marker");
    let mut circumstances = Circumstances::new("bull", NOW_MS);
    circumstances.awake.insert("q".to_owned());
    assert_eq!(check(&garden.keys, &circumstances), []);
    garden.set_field("meta", "paused", "1");
    assert_eq!(garden.found(), BTreeSet::new());
}

#[test]
fn a_delayed_job_that_no_marker_tells_of_in_time_is_found() {
    planted(Invariant::DelayMarker, |garden| {
        garden.idle();
        for key in ["wait", "prioritized", "w2", "p1", "p2", "de:x", "dn:x"] {
            garden.remove(key);
        }
        // The child is at work, far away.
        garden.sorted("completed", &[("c1", 1_700_000_050_000.0), ("c2", 1_700_000_060_000.0)]);
        garden.remove("parent:dependencies");
        garden.remove("waiting-children");
        for key in ["w1", "parent", "parent:processed", "parent:failed", "parent:unsuccessful"] {
            garden.remove(key);
        }
        match garden.chance.below(2) {
            0 => garden.remove("marker"),
            _ => garden.sorted("marker", &[("1", 1_700_000_250_000.0)]),
        }
    });
}

#[test]
fn a_pending_child_that_is_none_is_found() {
    planted(Invariant::PendingChild, |garden| {
        let child = garden.one_of(["bull:q:gone", "bull:q:w2", "bull:other:w1"]);
        garden.push("parent:dependencies", child, 0.0);
    });
    planted(Invariant::PendingChild, |garden| {
        garden.set_field("c2", "parentKey", "bull:q:parent");
        garden.push("parent:dependencies", "bull:q:c2", 0.0);
    });
}

#[test]
fn a_child_that_is_two_things_is_found() {
    planted(Invariant::ChildIsOneThing, |garden| {
        let child = garden.one_of(["bull:q:f1", "bull:q:f2"]);
        garden.push("parent:dependencies", child, 0.0);
    });
}

#[test]
fn a_parent_that_waits_for_nothing_is_found() {
    planted(Invariant::ParentWaits, |garden| garden.remove("parent:dependencies"));
}

#[test]
fn a_counter_that_does_not_count_is_found() {
    planted(Invariant::Counters, |garden| match garden.chance.below(3) {
        0 => garden.text("id", "many", false),
        1 => garden.text("pc", "-1", false),
        _ => {
            garden.job("51");
            garden.push("wait", "51", 0.0);
        }
    });
}

#[test]
fn a_limiter_that_never_ends_or_has_let_too_many_start_is_found() {
    planted(Invariant::Limiter, |garden| {
        if garden.chance.percent(50) { garden.text("limiter", "3", false) } else { garden.text("limiter", "6", true) }
    });
}

#[test]
fn metrics_below_zero_are_found() {
    planted(Invariant::Metrics, |garden| {
        if garden.chance.percent(50) {
            garden.set_field("metrics:completed", "count", "-1");
        } else {
            garden.push("metrics:completed:data", "-3", 0.0);
        }
    });
}

#[test]
fn a_deduplication_id_that_nobody_can_end_is_found() {
    planted(Invariant::DeduplicationOwner, |garden| {
        let owner = garden.one_of(["c1", "f2"]);
        garden.text("de:z", owner, false);
    });
}

#[test]
fn a_job_kept_for_a_job_that_does_not_run_is_found() {
    planted(Invariant::KeptForLater, |garden| {
        let owner = garden.one_of(["c1", "f2", "gone"]);
        garden.text("de:z", owner, true);
        garden.hash("dn:z", &[("jid", "later")]);
    });
}

#[test]
fn a_scheduler_without_settings_or_with_none_or_several_jobs_is_found() {
    planted(Invariant::Scheduler, |garden| match garden.chance.below(3) {
        0 => garden.push("repeat", "t", 1e12),
        1 => {
            garden.remove("repeat:s:1700000300000");
            garden
                .sorted("delayed", &[("d1", 1_700_000_200_000.0 * 4096.0), ("d2", 1_700_000_200_000.0 * 4096.0 + 1.0)]);
        }
        _ => {
            garden.job("w3");
            garden.set_field("w3", "rjk", "s");
            garden.set_field("w3", "delay", "300000");
            garden.push("delayed", "w3", 1_700_000_300_000.0 * 4096.0);
        }
    });
}

#[test]
fn a_job_that_ended_more_often_than_it_was_started_is_found() {
    planted(Invariant::Attempts, |garden| {
        let id = garden.one_of(["w1", "a1", "d2", "c1"]);
        garden.set_field(id, "atm", "2");
    });
}

#[test]
fn a_priority_that_its_place_does_not_show_is_found() {
    planted(Invariant::PriorityScore, |garden| {
        let (id, priority) = (garden.one_of(["p1", "p2"]), garden.one_of(["3", "0"]));
        garden.set_field(id, "priority", priority);
    });
}

#[test]
fn a_delay_that_its_time_does_not_show_is_found() {
    planted(Invariant::DelayScore, |garden| {
        let (id, delay) = (garden.one_of(["d1", "d2"]), garden.one_of(["99000", "200001"]));
        garden.set_field(id, "delay", delay);
    });
}
