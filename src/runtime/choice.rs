//! Which of several devices a model goes to: a pure decision.

use std::cmp::Reverse;

use crate::model::DeviceId;

/// A device that a model could live on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub device: DeviceId,
    /// Beside the others.
    pub speed: u64,
    /// Bytes that all models may take together.
    pub limit: u64,
    /// Bytes of these that are promised to nobody, and are free.
    pub room: u64,
    /// Bytes that are free, whoever may take them.
    pub free: u64,
}

/// The fastest that has room for so many bytes. Where none has, somebody has to make room, and it is the one with the most of
/// it among those that can ever hold so much. As long as nobody knows the need, it is the one with the most room. Of equals the
/// first.
pub(super) fn choose(candidates: &[Candidate], need: Option<u64>) -> Option<DeviceId> {
    let best = |key: &dyn Fn(&Candidate) -> (u64, u64, u64), among: &dyn Fn(&Candidate) -> bool| {
        let among = candidates.iter().enumerate().filter(|(_, candidate)| among(candidate));
        among.max_by_key(|(at, candidate)| (key(candidate), Reverse(*at))).map(|(_, candidate)| candidate.device)
    };
    let roomiest = |candidate: &Candidate| (candidate.room, candidate.free, candidate.speed);
    let all = |_: &Candidate| true;
    let Some(need) = need else { return best(&roomiest, &all) };
    best(&|it| (it.speed, it.room, it.free), &|it| it.room >= need)
        .or_else(|| best(&roomiest, &|it| it.limit >= need))
        .or_else(|| best(&|it| (it.limit, it.room, it.free), &all))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[speed, limit, room, free]` of the first card, the second, and so on.
    fn chosen(cards: &[[u64; 4]], need: Option<u64>) -> usize {
        let card = |(at, &[speed, limit, room, free]): (usize, &[u64; 4])| Candidate {
            device: DeviceId::Cuda(at),
            speed,
            limit,
            room,
            free,
        };
        match choose(&cards.iter().enumerate().map(card).collect::<Vec<_>>(), need) {
            Some(DeviceId::Cuda(number)) => number,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_fastest_that_has_room() {
        let cards = [[3, 80, 50, 50], [9, 80, 20, 20], [5, 80, 60, 60]];
        assert_eq!(chosen(&cards, Some(10)), 1);
        assert_eq!(chosen(&cards, Some(20)), 1, "to the last byte");
        assert_eq!(chosen(&cards, Some(21)), 2, "the next fast");
        assert_eq!(chosen(&cards, None), 2, "the most room, as long as nobody knows what it takes");
    }

    #[test]
    fn of_equally_fast_ones_the_roomiest_and_then_the_first() {
        assert_eq!(chosen(&[[5, 80, 30, 30], [5, 80, 40, 40]], Some(10)), 1);
        assert_eq!(chosen(&[[5, 80, 40, 40], [5, 80, 40, 50]], Some(10)), 1, "others hold less of it");
        assert_eq!(chosen(&[[5, 80, 40, 40], [5, 80, 40, 40]], Some(10)), 0);
        assert_eq!(chosen(&[[5, 80, 40, 40], [5, 80, 40, 40]], None), 0);
    }

    #[test]
    fn where_none_has_room_one_that_can_have_it() {
        let cards = [[9, 20, 19, 19], [5, 80, 10, 10], [3, 60, 15, 15]];
        assert_eq!(chosen(&cards, Some(50)), 2, "the least has to go there");
        assert_eq!(chosen(&cards, Some(70)), 1, "the only one that can ever hold it");
        assert_eq!(chosen(&cards, Some(90)), 1, "so that the refusal names the largest");
    }

    #[test]
    fn without_any_there_is_none() {
        assert_eq!(choose(&[], Some(1)), None);
    }
}
