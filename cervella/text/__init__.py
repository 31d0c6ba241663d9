"""Reading of texts in any language: languages as data, sentences, figures, dates, units of measure."""
