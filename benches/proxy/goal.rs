//! What ours has to reach, and whether it does.

/// A ratio of ours to another's.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    name: String,
    rival: &'static str,
    ratio: f64,
    most: f64,
}

impl Goal {
    /// `ratio` of ours to `rival`'s is to be `most` or less.
    pub(crate) fn new(name: String, rival: &'static str, ratio: f64, most: f64) -> Self {
        Self {
            name,
            rival,
            ratio,
            most,
        }
    }
}

/// All of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Goals(Vec<Goal>);

impl Goals {
    pub(crate) fn add(&mut self, goal: Goal) {
        self.0.push(goal);
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Prints a line for each, and tells whether all are reached if `slack` times as much is allowed.
    pub(crate) fn report(&self, slack: f64) -> bool {
        let mut kept = true;
        for goal in &self.0 {
            // What could not be measured is not reached.
            let verdict = if goal.ratio <= goal.most {
                "reached"
            } else if goal.ratio <= goal.most * slack {
                "missed, within the slack"
            } else {
                kept = false;
                "MISSED"
            };
            println!(
                "{verdict}: {}: {:.2} × {} (goal {:.2})",
                goal.name, goal.ratio, goal.rival, goal.most
            );
        }
        kept
    }
}
