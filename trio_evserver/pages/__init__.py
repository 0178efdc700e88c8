"""What a person sees in a browser that is not a file: pure, autoescaped."""
