// In place of cuRAND: there is a generator, and nobody asks it for numbers.
int curandCreateGenerator(void **generator, int kind) { *generator = (void *)0x7000; return 0; }
int curandDestroyGenerator(void *generator) { return 0; }
int curandSetStream(void *generator, void *stream) { return 0; }
int curandSetPseudoRandomGeneratorSeed(void *generator, unsigned long long seed) { return 0; }
