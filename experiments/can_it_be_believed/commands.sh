python -c "import numpy as np; from PIL import Image; Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)).save('noise.png')"
qa-research explain -m image=sample:coffee,sample:cat,sample:rocket segmenter=quickshift,slic lime.baseline=grey,blur \
    trust.seeds=10 classifier.precision=bfloat16 classifier.batch_size=8 paths.explanations=explanations/can_it_be_believed
qa-research explain image=noise.png \
    trust.seeds=10 classifier.precision=bfloat16 classifier.batch_size=8 paths.explanations=explanations/can_it_be_believed
qa-research explain counterfactual.top=4 paths.explanations=explanations/can_it_be_believed/blanked
python experiments/study.py measure can_it_be_believed --runs explanations/can_it_be_believed
