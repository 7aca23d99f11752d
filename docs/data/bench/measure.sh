bench() { timesformer-ref bench "${@:2}" --json "$1.json"; }
bench divided-8x224-float32 --repeats 5
bench joint-8x224-float32 --repeats 3 --scheme joint_space_time
bench divided-8x224-bfloat16 --repeats 5 --dtype bfloat16
bench joint-8x224-bfloat16 --repeats 3 --scheme joint_space_time --dtype bfloat16
bench videos-float32 demo.mp4 example.avi --repeats 3
bench divided-32x224-float32 --repeats 2 --frames 32 --fastest
bench divided-32x224-bfloat16 --repeats 2 --frames 32 --fastest --dtype bfloat16
bench divided-16x448-float32 --repeats 2 --frames 16 --size 448 --fastest
bench divided-16x448-bfloat16 --repeats 2 --frames 16 --size 448 --fastest --dtype bfloat16
bench videos-bfloat16 demo.mp4 example.avi --repeats 3 --dtype bfloat16
bench videos-20-float32 folder/*.mp4 folder/*.avi --repeats 1
bench training-8x224-float32 --repeats 2 --train
bench videos-minute minute.mp4 --frames 96 --repeats 1
python -m docs.making.beyond beyond.json
python -m docs.making.scale scale.json
