# PROMOTERS is the file of promoters. What was stopped goes on with the same command.
EACH="capture=none logger=csv train.threads=1 train.progress=none"
MOTIFS="study=sequence_models_motifs trainer.max_epochs=3 $EACH"
python train.py -m +experiment=sequence_linear,sequence_kmer seed=1 $MOTIFS
python train.py +experiment=sequence_transformer model=sequence_sparse seed=1 $MOTIFS study=sequence_models_figures
python train.py +experiment=sequence_universal seed=1 $MOTIFS study=sequence_models_steps
python train.py -m +experiment=sequence_transformer,sequence_cnn,sequence_rnn,sequence_lstm,sequence_lecture_linear seed=1,2,3,4,5 $MOTIFS
python train.py -m +experiment=sequence_transformer model.positions=none model.name=without_positions seed=1,2,3,4,5 $MOTIFS
python -m experiments.sequence_models.speed runs
# Five folds, in which what overlaps is together, and five random ones
python experiments/sequence_models/folds.py "$PROMOTERS" runs/promoter_folds
for FOLD in 1 2 3 4 5 random-1 random-2 random-3 random-4 random-5; do
    DATA="data=sequence_files data.train_path=runs/promoter_folds/$FOLD/train.csv data.validation_path=runs/promoter_folds/$FOLD/validation.csv"
    OF_FOLD="study=sequence_models_promoters trainer.max_epochs=2 $DATA $EACH"
    python train.py -m +experiment=sequence_linear,sequence_kmer seed=1 $OF_FOLD
    case $FOLD in random-*) continue ;; esac
    python train.py -m +experiment=sequence_transformer,sequence_cnn,sequence_lecture_linear seed=1,2,3 $OF_FOLD
done
python experiments/study.py measure sequence_models
