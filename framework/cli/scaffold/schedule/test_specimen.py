"""Contract tests of the schedule specimen."""

from framework.testing import SchedulePromises


class TestSpecimenSchedule(SchedulePromises):
    part = "schedule/specimen"
