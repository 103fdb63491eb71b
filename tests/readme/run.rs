//! Each sample does what the README says.

/// Makes a module of a sample: its text as it stands, and a way to call its `main`.
macro_rules! sample {
    ($name:ident, $path:literal) => {
        mod $name {
            include!($path);

            pub(super) fn run() -> Result<(), String> {
                main().map_err(|error| error.to_string())
            }
        }
    };
}

pub(crate) use sample;

#[cfg(feature = "tokio")]
sample!(failing_over, "samples/failing_over.rs");
#[cfg(feature = "testkit")]
sample!(own_scheduler, "samples/own_scheduler.rs");
sample!(sessions, "samples/sessions.rs");
sample!(without_tower, "samples/without_tower.rs");

#[test]
fn samples_without_a_network_run() {
    without_tower::run().unwrap();
    sessions::run().unwrap();
    #[cfg(feature = "testkit")]
    own_scheduler::run().unwrap();
    #[cfg(feature = "tokio")]
    failing_over::run().unwrap();
}
