"""What words say, in any language: languages as data, sentences, quantities, units of measure."""
