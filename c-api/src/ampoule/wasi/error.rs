//! The errors that tables answer, as the host knows them.

use ampoule_wasi::host::error::{Errno, Error};

/// A number of `ampoule_wasi_error_enum`, which may be any number.
pub type ampoule_wasi_error_t = u16;

/// What an answer means. A number that is none of the enumeration's is `IO`.
pub fn check(answer: ampoule_wasi_error_t) -> Result<(), Error> {
    Err(Error::Os(match answer {
        0 => return Ok(()),
        2 => Errno::ACCESS,
        3 => Errno::ADDRINUSE,
        4 => Errno::ADDRNOTAVAIL,
        5 => Errno::AFNOSUPPORT,
        6 => Errno::AGAIN,
        7 => Errno::ALREADY,
        8 => Errno::BADF,
        10 => Errno::BUSY,
        13 => Errno::CONNABORTED,
        14 => Errno::CONNREFUSED,
        15 => Errno::CONNRESET,
        19 => Errno::DQUOT,
        20 => Errno::EXIST,
        22 => Errno::FBIG,
        23 => Errno::HOSTUNREACH,
        25 => Errno::ILSEQ,
        28 => Errno::INVAL,
        30 => Errno::ISCONN,
        31 => Errno::ISDIR,
        32 => Errno::LOOP,
        34 => Errno::MLINK,
        35 => Errno::MSGSIZE,
        37 => Errno::NAMETOOLONG,
        40 => Errno::NETUNREACH,
        42 => Errno::NOBUFS,
        43 => Errno::NODEV,
        44 => Errno::NOENT,
        48 => Errno::NOMEM,
        51 => Errno::NOSPC,
        53 => Errno::NOTCONN,
        54 => Errno::NOTDIR,
        55 => Errno::NOTEMPTY,
        58 => Errno::NOTSUP,
        61 => Errno::OVERFLOW,
        63 => return Err(Error::NotPermitted),
        64 => Errno::PIPE,
        69 => Errno::ROFS,
        70 => Errno::SPIPE,
        73 => Errno::TIMEDOUT,
        75 => Errno::XDEV,
        _ => Errno::IO,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers are those of preview 1, so that there is one list for those who know it.
    #[test]
    fn numbers_are_preview_1_s() {
        for number in 1..=u16::MAX {
            let as_guest = match check(number) {
                Ok(()) => 0,
                Err(Error::Os(errno)) => ampoule_wasi::p1::Errno::from(errno) as u16,
                Err(_) => 63,
            };
            assert!(as_guest == number || as_guest == 29, "{number} is {as_guest}");
        }
        assert_eq!(check(0), Ok(()));
    }
}
