"""Export the small model from Python, and classify a video with onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import onnxruntime

from timesformer_ref import TimeSformer, choose_preprocessing, load_checkpoint, read_clip
from timesformer_ref.checkpoints.notes import write_note
from timesformer_ref.use.export import write_model

checkpoint = load_checkpoint("camera-motion")
model = TimeSformer.from_checkpoint(checkpoint)
video = read_clip("docs/assets/example.mp4", choose_preprocessing(checkpoint)).video

with TemporaryDirectory() as folder:
    file = Path(folder) / "camera-motion.onnx"
    write_model(model, video.shape[1:], file, clips=1, note=write_note(checkpoint))
    session = onnxruntime.InferenceSession(file)

for place in (*session.get_inputs(), *session.get_outputs()):
    print(place.name, place.shape, place.type)
note = json.loads(session.get_modelmeta().custom_metadata_map["timesformer_ref"])
print(note["preprocessing"])
(logits,) = session.run(["logits"], {"video": video})
print(note["labels"][logits[0].argmax()])
