"""Contract tests of the published family specimen."""

from framework.testing import FamilyPromises


class TestSpecimenFamily(FamilyPromises):
    part = "family/specimen"
    config = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 40,
        "max_position_embeddings": 32,
    }
