"""The paper's comparison in miniature: what each scheme learns of a picture and of its movement."""
