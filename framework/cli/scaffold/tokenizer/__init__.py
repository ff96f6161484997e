"""The tokenizer specimen."""
