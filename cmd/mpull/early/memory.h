/* Takes, in one call, the memory that every command writes to as it starts. */
void take_memory(void);
