#!/usr/bin/env bash
# From Hungarian words to a model that answers in Hungarian: import, check, plan, train, chat. See README.md beside it.
#
#     examples/hungarian/run.sh EXPORT --me NAME [--model MODEL] [-o FOLDER] [--small]
#     examples/hungarian/run.sh DIALOGUES.jsonl  [--model MODEL] [-o FOLDER] [--small]
#
# EXPORT      your own chat, as `attune import` reads it
# DIALOGUES   dialogues as ELTeC-hun's: {"turns": [{"role": "A" or "B", "text": ...}, ...]} a line
# --model     folder of the base model or a repository that `attune pull` got
# -o          folder for everything; runs/hungarian when not given
# --small     the bundled model and a few steps, in a minute
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
attune=${ATTUNE:-$root/build/release/attune}
[ -x "$attune" ] || attune=$(command -v attune) || { echo "run.sh: build attune first (./dev build)" >&2; exit 2; }

words="" me="" model="" folder="" small=false
while [ $# -gt 0 ]; do
  case $1 in
    --me | --model | -o)
      [ $# -gt 1 ] || { echo "run.sh: $1 needs a value" >&2; exit 2; }
      case $1 in --me) me=$2 ;; --model) model=$2 ;; -o) folder=$2 ;; esac
      shift 2 ;;
    --small) small=true; shift ;;
    -*) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) words=$1; shift ;;
  esac
done
[ -n "$words" ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ -e "$words" ] || { echo "run.sh: $words: no such file" >&2; exit 2; }

recipe=$here/recipe.yaml name=hungarian
if $small; then
  recipe=$here/small.yaml name=hungarian-small
  model=${model:-$root/assets/tiny}
fi
model=${model:-mistralai/Mistral-7B-Instruct-v0.2}
folder=${folder:-runs/$name}
[ ! -e "$folder" ] || { echo "run.sh: $folder exists already; name another with -o or remove it" >&2; exit 2; }

step() { printf '\n== %s\n' "$*"; }

mkdir -p "$folder"
if [[ $words == *.jsonl && -z $me ]]; then
  step "Dialogues as a chat: Béla is the one to become"
  python3 "$here/dialogues.py" "$words" $($small && echo 150) >"$folder/chat.txt"
  words=$folder/chat.txt me=Béla
fi
[ -n "$me" ] || { echo "run.sh: --me: who in the chat is the model to become?" >&2; exit 2; }

step "Words -> conversations of 4 to 6 messages"
"$attune" import "$words" --me "$me" --exchanges 2-3 -o "$folder/data"

step "Check: lengths, what is trained on, problems"
"$attune" data check "$folder/data" --model "$model"

step "Plan: every byte before anything starts"
"$attune" plan "$model" --data "$folder/data"

step "Train"
"$attune" train "$recipe" --set "model=$model" --set "data=$folder/data" --set "output=$folder/run"

step "Ask"
for question in "Szia, hogy vagy?" "Mit csinálsz ma este?" "Eljössz velem vacsorázni?"; do
  printf '%s\n  %s\n' "$question" "$("$attune" generate "$model" --adapter "$folder/run/adapter" --max-tokens 48 \
    --temperature 0 --prompt "$question" | tr '\n' ' ')"
done

step "Chat"
echo "attune chat $model --adapter $folder/run/adapter"
if [ -t 0 ] && [ -t 1 ]; then exec "$attune" chat "$model" --adapter "$folder/run/adapter"; fi
