# A shell that lasts: reads the path of the next piece of code from fd 3, says its exit status on fd 4 (channel.ts).

# On SIGINT the trap has every sourced file and function return before its next command, and the shell itself goes on:
# with extdebug a DEBUG trap that ends with 2 makes the shell return.
codegen_unwind() { ((${#BASH_SOURCE[@]} <= 2)) || return 2; }
trap 'shopt -s extdebug; set -T; trap codegen_unwind DEBUG' INT

while IFS= read -r -u 3 codegen_path; do
  . "$codegen_path" 3<&- 4>&- </dev/null
  # Tracing ends with its piece of code: else it would show this loop.
  { codegen_status=$?; set +x; trap - DEBUG; shopt -u extdebug; set +T; printf 'done %d\n%d' "${#codegen_status}" "$codegen_status" >&4; } 2>/dev/null
done
