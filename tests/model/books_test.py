#!/usr/bin/env python3
"""books_test.py - every fault that books.py is there to find is planted once, and found.

    python3 tests/model/books_test.py
"""
import unittest

from books import Books, Written, storms
from world import Line, aggregate, KPL_MAGIC


def line(life, key, n, at=1.0, shard="shardId-0", sequence=None, sub=0):
    sequence = sequence if sequence is not None else 100 + n
    return Line(life, f"{key} {n} x {shard} {sequence} {sub}", at)


class Story(Books):
    """Books of `count` records of key a in one shard, with sequence numbers 100 and up."""

    def __init__(self, count=6):
        super().__init__()
        for n in range(count):
            self.tell_sent("a", n)
            self.tell_stream("shardId-0", 100 + n, 0, "a", n)

    def play(self, *lines):
        for one in lines:
            self.take([one], [])
        return self

    def broken(self):
        return [what for what, is_right, _ in self.results() if not is_right]


EVERY = "every record was delivered"
ELSE = "nothing else was delivered"
ORDER = "in order per key, over all processes and in each life"
FORWARDS = "in each life a shard is read forwards"
ONCE = "once, but for what was killed or stalled"


class FindsWhatIsWrong(unittest.TestCase):
    def test_a_good_story_has_no_fault(self):
        story = Story().play(*[line(n // 3, "a", n) for n in range(6)])
        self.assertTrue(story.is_complete())
        self.assertEqual(story.broken(), [])

    def test_no_lines_at_all(self):
        self.assertIn("records were sent and lines were read", Story().broken())

    def test_a_lost_record(self):
        story = Story().play(*[line(0, "a", n) for n in (0, 1, 2, 4, 5)])
        self.assertFalse(story.is_complete())
        self.assertEqual(story.missing(), [("a", 3)])
        self.assertIn(EVERY, story.broken())

    def test_a_lost_tail(self):
        self.assertEqual(Story().play(*[line(0, "a", n) for n in range(5)]).broken(), [EVERY])

    def test_a_record_that_the_stream_lost(self):
        story = Story().play(*[line(0, "a", n) for n in range(6)])
        del story.where["a", 5]
        self.assertIn("the stream has all 6 records that it acknowledged", story.broken())

    def test_an_invented_record(self):
        story = Story().play(*[line(0, "a", n) for n in range(6)],
                             line(0, "a", 6, sequence=999))
        self.assertEqual(story.broken(), [ELSE])

    def test_a_record_under_the_number_of_another(self):
        story = Story(2).play(line(0, "a", 0), line(0, "a", 1, sequence=100, sub=1))
        self.assertIn(ELSE, story.broken())

    def test_a_duplicate_in_one_life(self):
        story = Story().play(*[line(0, "a", n) for n in (0, 1, 2, 2, 3, 4, 5)])
        self.assertEqual(story.broken(), [FORWARDS, ONCE])

    def test_a_duplicate_in_two_lives(self):
        story = Story().play(*[line(0, "a", n) for n in range(4)],
                             *[line(1, "a", n) for n in range(3, 6)])
        self.assertEqual(story.broken(), [ONCE])

    def test_a_duplicate_of_a_killed_life_is_excused(self):
        story = Story().play(*[line(0, "a", n, at=9.0) for n in range(4)],
                             *[line(1, "a", n, at=20.0) for n in range(3, 6)])
        story.tell_trouble(0, 5.0, 10.0)
        self.assertEqual(story.broken(), [])

    def test_but_not_what_it_delivered_long_before(self):
        story = Story().play(*[line(0, "a", n, at=4.0) for n in range(4)],
                             *[line(1, "a", n, at=20.0) for n in range(3, 6)])
        story.tell_trouble(0, 5.0, 10.0)
        self.assertEqual(story.broken(), [ONCE])

    def test_nor_what_two_others_delivered(self):
        story = Story().play(*[line(0, "a", n, at=9.0) for n in range(4)],
                             *[line(1, "a", n, at=20.0) for n in range(3, 6)],
                             line(2, "a", 3, at=20.0))
        story.tell_trouble(0, 5.0, 10.0)
        self.assertEqual(story.broken(), [ONCE])

    def test_two_numbers_of_a_key_that_changed_places_in_one_life(self):
        story = Story().play(*[line(0, "a", n) for n in (0, 1, 3, 2, 4, 5)])
        self.assertEqual(story.broken(), [ORDER, FORWARDS])

    def test_also_when_they_lie_in_two_shards(self):
        story = Story(2)
        story.where = {("a", 0): [("shardId-0", 100, 0)], ("a", 1): [("shardId-1", 50, 0)]}
        story.take([line(0, "a", 1, shard="shardId-1", sequence=50), line(0, "a", 0)], [])
        self.assertEqual(story.broken(), [ORDER])

    def test_a_child_that_was_read_before_its_parent_was_settled_elsewhere(self):
        story = Story(2)
        story.where["a", 1] = [("shardId-1", 50, 0)]
        story.take([line(1, "a", 1, shard="shardId-1", sequence=50)], [])
        story.take([line(0, "a", 0)], [])
        self.assertEqual(story.broken(), [ORDER])

    def test_what_came_between_two_looks_at_the_files_is_no_fault(self):
        story = Story(2)
        story.take([line(1, "a", 1)], [line(0, "a", 0)])
        self.assertEqual(story.broken(), [])

    def test_what_came_last_is_judged_too(self):
        story = Story(3)
        story.take([line(0, "a", 0)], [line(1, "a", 2)])
        self.assertIn(ORDER, story.broken())

    def test_a_sub_sequence_number_twice(self):
        story = Story(0)
        for n in range(3):
            story.tell_sent("a", n)
            story.tell_stream("shardId-0", 100, n, "a", n)
        story.play(*[line(0, "a", n, sequence=100, sub=n) for n in (0, 1, 2, 1)])
        self.assertEqual(story.broken(), [FORWARDS, ONCE])


class FindsWhatAWriterDoesWrong(unittest.TestCase):
    def test_order_holes_and_repeats(self):
        written = Written()
        for n in (0, 1, 3, 2, 2, 5):
            written.tell("shardId-0", "a", n)
        self.assertEqual(written.disorder, ["a 2 behind 3 in shardId-0"])
        self.assertEqual((written.again, written.count(), written.holes()), (1, 5, [("a", 4)]))

    def test_a_record_that_is_written_again_is_no_disorder(self):
        written = Written()
        for n in (0, 1, 2, 0, 1, 2, 3):
            written.tell("shardId-0", "a", n)
        self.assertEqual((written.disorder, written.holes(), written.again), ([], [], 3))


class FindsStorms(unittest.TestCase):
    calm = {("kinesis", "PutRecords"): 80.0 / 3, ("dynamodb", "UpdateItem"): 2.0}

    def found(self, operation, n, service="kinesis"):
        return len(storms({(service, operation): n}, 4.0, self.calm, 4))

    def test_three_times_as_many_calls_as_in_calm_are_allowed(self):
        self.assertEqual(self.found("PutRecords", 323), 0)
        self.assertEqual(self.found("PutRecords", 324), 1)

    def test_calls_that_calm_does_not_have_are_one_a_second(self):
        self.assertEqual(self.found("ListShards", 7), 0)
        self.assertEqual(self.found("ListShards", 8), 1)

    def test_reads_are_five_a_second_and_shard(self):
        self.assertEqual(self.found("GetRecords", 83), 0)
        self.assertEqual(self.found("GetRecords", 84), 1)

    def test_renewals_that_fail_are_not_repeated_at_once(self):
        self.assertEqual(self.found("UpdateItem", 51, "dynamodb"), 0)
        self.assertEqual(self.found("UpdateItem", 52, "dynamodb"), 1)


class World(unittest.TestCase):
    def test_a_torn_line_is_refused(self):
        with self.assertRaises(ValueError):
            Line(0, "k001 5 xx shardId-0 123", 1.0)

    def test_an_aggregate_has_the_form_of_the_kpl(self):
        # One key "k", records "a" and "b": AggregatedRecord of the KPL's messages.proto by hand.
        got = aggregate("k", [b"a", b"b"])
        self.assertTrue(got.startswith(KPL_MAGIC))
        self.assertEqual(got[4:-16].hex(), "0a016b" "1a0508001a0161" "1a0508001a0162")


if __name__ == "__main__":
    unittest.main()
