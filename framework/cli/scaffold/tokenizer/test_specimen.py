"""Contract tests of the tokenizer specimen."""

from framework.testing import TokenizerPromises


class TestSpecimenTokenizer(TokenizerPromises):
    part = "tokenizer/specimen"
    restores = False  # case and blanks are lost, and so are rare words
