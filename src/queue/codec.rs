//! How job payloads are written: one version byte, then bincode.
//!
//! bincode is feature-complete and no longer maintained (RUSTSEC-2025-0141), which is why nothing
//! outside this file knows of it. Another encoding gets another version byte.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version that this build writes. Older ones stay readable, newer ones are refused.
const VERSION: u8 = 2;

/// What a payload can hold, with the layouts that earlier builds gave it.
pub trait Payload: Serialize + DeserializeOwned {
    /// As version 1 wrote it.
    type V1: DeserializeOwned + Into<Self>;
}

/// Largest payload that is read, so that a corrupt length cannot ask for all memory.
const MAX_PAYLOAD: usize = 16 << 20;

/// A payload that this build cannot read or write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// There is nothing.
    #[error("the payload is empty")]
    Empty,
    /// Written by a newer build.
    #[error(
        "the payload is of the newer version {found}, and this build reads up to {VERSION}; upgrade the \
         workers, then replay the job"
    )]
    UnknownVersion {
        /// The version byte.
        found: u8,
    },
    /// Neither this nor any other build wrote that.
    #[error("the payload is corrupt: {reason}")]
    Corrupt {
        /// What the decoder said.
        reason: String,
    },
    /// The job is too large to be a payload.
    #[error("the job does not fit a payload of {MAX_PAYLOAD} bytes: {reason}")]
    TooLarge {
        /// What the encoder said, or the size.
        reason: String,
    },
}

/// Writes a payload.
///
/// # Errors
/// [`CodecError::TooLarge`] above 16 MiB.
pub fn encode<T: Payload>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut payload = vec![VERSION];
    let body =
        bincode::serde::encode_to_vec(value, bincode::config::standard()).map_err(|error| {
            CodecError::TooLarge {
                reason: error.to_string(),
            }
        })?;
    if body.len() > MAX_PAYLOAD {
        return Err(CodecError::TooLarge {
            reason: format!("{} bytes", body.len()),
        });
    }
    payload.extend_from_slice(&body);
    Ok(payload)
}

/// Reads a payload.
///
/// # Errors
/// [`CodecError`] when the payload is empty, of an unknown version, cut or followed by more.
pub fn decode<T: Payload>(payload: &[u8]) -> Result<T, CodecError> {
    let (&version, body) = payload.split_first().ok_or(CodecError::Empty)?;
    if version == 0 {
        let reason = "it begins with version 0, which no build writes".into();
        return Err(CodecError::Corrupt { reason });
    }
    match version {
        VERSION => read(body),
        1 => Ok(read::<T::V1>(body)?.into()),
        found => Err(CodecError::UnknownVersion { found }),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, CodecError> {
    let config = bincode::config::standard().with_limit::<MAX_PAYLOAD>();
    let (value, read) =
        bincode::serde::decode_from_slice(body, config).map_err(|error| CodecError::Corrupt {
            reason: error.to_string(),
        })?;
    if read != body.len() {
        let reason = format!("{} bytes follow the job", body.len() - read);
        return Err(CodecError::Corrupt { reason });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Job {
        users: Vec<String>,
        epoch: u64,
    }

    /// Jobs had no users yet.
    #[derive(Serialize, Deserialize)]
    struct JobV1 {
        epoch: u64,
    }

    impl From<JobV1> for Job {
        fn from(JobV1 { epoch }: JobV1) -> Job {
            let users = vec!["everybody".into()];
            Job { users, epoch }
        }
    }

    impl Payload for Job {
        type V1 = JobV1;
    }

    impl Payload for u32 {
        type V1 = u32;
    }

    #[test]
    fn a_payload_of_an_earlier_version_is_read_as_it_was_laid_out_then() {
        let everybody = Job {
            users: vec!["everybody".into()],
            epoch: 7,
        };
        assert_eq!(decode::<Job>(&[1, 7]), Ok(everybody));
    }

    #[test]
    fn a_payload_of_a_newer_version_is_refused_and_named() {
        let mut payload = encode(&7u32).unwrap();
        payload[0] = 9;
        assert_eq!(
            decode::<u32>(&payload).unwrap_err(),
            CodecError::UnknownVersion { found: 9 }
        );
    }

    #[test]
    fn bytes_after_the_job_are_corruption() {
        let mut payload = encode(&7u32).unwrap();
        payload.push(0);
        assert!(matches!(
            decode::<u32>(&payload),
            Err(CodecError::Corrupt { .. })
        ));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(users: Vec<String>, epoch: u64) {
            let job = Job { users, epoch };
            let payload = encode(&job).unwrap();
            prop_assert_eq!(decode::<Job>(&payload).unwrap(), job);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
            let _ = decode::<Job>(&bytes);
        }
    }
}
