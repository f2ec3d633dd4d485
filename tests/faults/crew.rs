//! All processes of a deployment.

use std::time::Duration;

use crate::process::{Process, Role, Site};
use crate::wait_long;

/// How many of which, and with what options.
#[derive(Clone, Debug)]
pub struct Shape {
    pub extract: usize,
    pub name: usize,
    /// Silence after which a job is taken over.
    pub lease: Duration,
    /// How long a worker that is asked to end may finish what it has begun.
    pub drain: Duration,
    /// How long any process waits for the answer to a command.
    pub redis_timeout: Duration,
    /// Further options of the scheduler.
    pub serve_with: Vec<&'static str>,
    /// Further options of naming workers.
    pub name_with: Vec<&'static str>,
}

impl Shape {
    /// One worker of each kind.
    pub fn small(lease: Duration) -> Shape {
        Shape {
            extract: 1,
            name: 1,
            lease,
            drain: Duration::from_secs(8),
            redis_timeout: Duration::from_secs(10),
            serve_with: Vec::new(),
            name_with: Vec::new(),
        }
    }
}

/// The numbers of the members of a small crew.
pub const SCHEDULER: usize = 0;
pub const EXTRACT: usize = 1;
pub const NAME: usize = 2;

/// A scheduler and workers.
pub struct Crew {
    site: Site,
    shape: Shape,
    pub members: Vec<Process>,
}

impl Crew {
    pub fn start(site: Site, shape: Shape) -> Crew {
        let roles = [Role::Scheduler]
            .into_iter()
            .chain(std::iter::repeat_n(Role::Extract, shape.extract))
            .chain(std::iter::repeat_n(Role::Name, shape.name));
        let mut crew = Crew {
            site,
            shape,
            members: Vec::new(),
        };
        for role in roles {
            let member = crew.recruit(role);
            crew.members.push(member);
        }
        crew
    }

    fn recruit(&self, role: Role) -> Process {
        let seconds = |duration: Duration| duration.as_secs_f64().to_string();
        let shape = &self.shape;
        let timeout = seconds(shape.redis_timeout);
        let (lease, drain) = (seconds(shape.lease), seconds(shape.drain));
        let worker = ["--lease", &lease, "--drain", &drain];
        let mut arguments = vec!["--redis-timeout", &timeout];
        match role {
            Role::Scheduler => arguments.extend(&shape.serve_with),
            Role::Extract => arguments.extend(worker),
            Role::Name => arguments.extend(worker.iter().chain(&shape.name_with)),
        }
        Process::start(role, &self.site, &arguments)
    }

    /// The numbers of the workers.
    pub fn workers(&self) -> std::ops::Range<usize> {
        EXTRACT..self.members.len()
    }

    /// Puts a new process in the place of one; returns the old one.
    pub fn replace(&mut self, number: usize) -> Process {
        let next = self.recruit(self.members[number].role);
        std::mem::replace(&mut self.members[number], next)
    }

    /// Asserts that no process has ended by itself.
    pub fn assert_runs(&mut self) {
        for member in &mut self.members {
            member.assert_runs();
        }
    }

    /// Waits until every process has said that it waits for Redis.
    pub fn wait_until_all_wait(&self) {
        self.wait_until_wait(&[Role::Scheduler, Role::Extract, Role::Name]);
    }

    /// Waits until every process of some roles has said so.
    pub fn wait_until_wait(&self, roles: &[Role]) {
        for member in &self.members {
            if roles.contains(&member.role) {
                let what = format!("{:?} to say that it waits", member.role);
                wait_long(&what, || {
                    member.said().contains("waiting for Redis").then_some(())
                });
            }
        }
    }
}
