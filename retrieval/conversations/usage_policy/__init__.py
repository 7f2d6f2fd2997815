"""The usage policy: rules of the organisation for questions that are declined with its own text."""
