"""What a program calls: Linker, Run, plan, check and export."""
