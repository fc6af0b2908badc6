# PROMOTERS is the file of promoters. What was stopped goes on with the same command.
python train.py -m +experiment=sequence_linear,sequence_kmer study=sequence_models_motifs seed=1 \
    trainer.max_epochs=3 capture=none logger=csv train.threads=1 train.progress=none
python train.py -m +experiment=sequence_transformer,sequence_cnn,sequence_rnn,sequence_lstm,sequence_lecture_linear study=sequence_models_motifs seed=1,2,3,4,5 \
    trainer.max_epochs=3 capture=none logger=csv train.threads=1 train.progress=none
python train.py -m +experiment=sequence_transformer model.positions=none model.name=without_positions study=sequence_models_motifs seed=1,2,3,4,5 \
    trainer.max_epochs=3 capture=none logger=csv train.threads=1 train.progress=none
python train.py -m +experiment=sequence_transformer model=sequence_sparse study=sequence_models_motifs seed=1,2,3,4,5 \
    trainer.max_epochs=3 capture=none logger=csv train.threads=1 train.progress=none
python train.py -m +experiment=sequence_universal study=sequence_models_motifs seed=1,2,3,4,5 \
    trainer.max_epochs=3 capture=none logger=csv train.threads=1 train.progress=none
python -m experiments.sequence_models.speed runs
# Five folds, in which what overlaps is together, and five random ones
python experiments/sequence_models/folds.py "$PROMOTERS" runs/promoter_folds
for fold in 1 2 3 4 5; do
    python train.py -m +experiment=sequence_linear,sequence_kmer study=sequence_models_promoters seed=1 \
        data=sequence_files data.train_path=runs/promoter_folds/$fold/train.csv \
        data.validation_path=runs/promoter_folds/$fold/validation.csv \
        trainer.max_epochs=2 capture=none logger=csv train.threads=1 train.progress=none
    python train.py -m +experiment=sequence_transformer,sequence_cnn,sequence_lecture_linear study=sequence_models_promoters seed=1,2,3 \
        data=sequence_files data.train_path=runs/promoter_folds/$fold/train.csv \
        data.validation_path=runs/promoter_folds/$fold/validation.csv \
        trainer.max_epochs=2 capture=none logger=csv train.threads=1 train.progress=none
    python train.py -m +experiment=sequence_transformer model.positions=none model.name=without_positions study=sequence_models_promoters seed=1,2,3 \
        data=sequence_files data.train_path=runs/promoter_folds/$fold/train.csv \
        data.validation_path=runs/promoter_folds/$fold/validation.csv \
        trainer.max_epochs=2 capture=none logger=csv train.threads=1 train.progress=none
    python train.py -m +experiment=sequence_linear,sequence_kmer study=sequence_models_promoters seed=1 \
        data=sequence_files data.train_path=runs/promoter_folds/random-$fold/train.csv \
        data.validation_path=runs/promoter_folds/random-$fold/validation.csv \
        trainer.max_epochs=2 capture=none logger=csv train.threads=1 train.progress=none
done
python experiments/study.py measure sequence_models
