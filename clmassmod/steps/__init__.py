"""One function a rule: open, call, save."""
