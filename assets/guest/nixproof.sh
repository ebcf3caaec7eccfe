# The markers of nixproof's stream as shell functions: `. nixproof.sh` in an installer.
np_success() { printf '::SUCCESS::%s\n' "$*"; }
np_error() { printf '::ERROR::%s\n' "$*"; }
np_warning() { printf '::WARNING::%s\n' "$*"; }
np_context() { printf '::CONTEXT::%s\n' "$*"; }
# np_progress STAGE DETAILS: details such as 3/10 or 45% are drawn as a bar.
np_progress() { printf '::PROGRESS::%s::%s\n' "$1" "$2"; }
# np_metric NAME VALUE
np_metric() { printf '::METRIC::%s::%s\n' "$1" "$2"; }
