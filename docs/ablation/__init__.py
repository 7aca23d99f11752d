"""The paper's ablation in miniature: each scheme on a task of appearance and one of motion."""
