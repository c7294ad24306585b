"""The acceptance cases as they stand, with a SQL Server for a lake."""

from tests.faults.test_changes import (
    test_case_12_of_many_changes_of_one_key_in_one_batch_the_last_counts,
    test_case_13_a_key_moved_twice_with_a_restart_between_leaves_one_row,
    test_case_14_a_unique_value_that_passes_to_another_row_and_two_that_are_swapped_are_applied,
    test_case_15_stale_changes_of_a_relay_that_wakes_up_late_are_ignored,
    test_case_15_stale_changes_that_a_restarted_relay_repeats_are_ignored,
    test_case_16_one_image_that_postgresql_cannot_hold_is_set_aside_alone_and_heals,
)
from tests.faults.test_outages import (
    test_case_17_while_the_database_is_read_only_nothing_is_quarantined_and_tokens_still_verify,
)
from tests.faults.test_relay import (
    test_case_04_a_relay_killed_before_its_cursor_is_saved_repeats_and_nothing_is_applied_twice,
    test_case_05_of_a_transaction_in_whose_middle_the_relay_is_killed_all_arrives,
    test_case_09_the_late_sends_of_a_zombie_relay_are_dropped_and_counted,
    test_case_10_a_broker_killed_while_the_relay_produces_loses_nothing,
)
from tests.faults.test_sink import (
    test_case_06_a_sink_killed_at_any_point_of_its_batch_changes_nothing_twice,
    test_case_07_a_batch_whose_commit_is_not_acknowledged_is_not_repeated,
    test_case_08_a_zombie_sink_holds_nobody_up_and_changes_nothing,
    test_case_11_in_a_rebalance_storm_nothing_is_skipped_and_nothing_goes_back,
)
from tests.integration.replicator.test_backfill import (
    test_case_18_a_backfill_under_load_resumes_after_kills_and_resurrects_nothing,
)

__all__ = [
    "test_case_04_a_relay_killed_before_its_cursor_is_saved_repeats_and_nothing_is_applied_twice",
    "test_case_05_of_a_transaction_in_whose_middle_the_relay_is_killed_all_arrives",
    "test_case_06_a_sink_killed_at_any_point_of_its_batch_changes_nothing_twice",
    "test_case_07_a_batch_whose_commit_is_not_acknowledged_is_not_repeated",
    "test_case_08_a_zombie_sink_holds_nobody_up_and_changes_nothing",
    "test_case_09_the_late_sends_of_a_zombie_relay_are_dropped_and_counted",
    "test_case_10_a_broker_killed_while_the_relay_produces_loses_nothing",
    "test_case_11_in_a_rebalance_storm_nothing_is_skipped_and_nothing_goes_back",
    "test_case_12_of_many_changes_of_one_key_in_one_batch_the_last_counts",
    "test_case_13_a_key_moved_twice_with_a_restart_between_leaves_one_row",
    "test_case_14_a_unique_value_that_passes_to_another_row_and_two_that_are_swapped_are_applied",
    "test_case_15_stale_changes_of_a_relay_that_wakes_up_late_are_ignored",
    "test_case_15_stale_changes_that_a_restarted_relay_repeats_are_ignored",
    "test_case_16_one_image_that_postgresql_cannot_hold_is_set_aside_alone_and_heals",
    "test_case_17_while_the_database_is_read_only_nothing_is_quarantined_and_tokens_still_verify",
    "test_case_18_a_backfill_under_load_resumes_after_kills_and_resurrects_nothing",
]
