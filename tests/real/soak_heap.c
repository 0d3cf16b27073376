/*
 * For soak.py, by LD_PRELOAD: at SIGUSR1 it tells how many bytes of the heap are in use, which is exact where the resident
 * size moves by what malloc keeps. It makes no system call then, so that no sandbox minds, and wants a program at rest.
 */
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile struct {
        uint64_t count, used;
} * shared;

static void tell(int signal)
{
        (void)signal;
        shared->used = mallinfo2().uordblks;
        shared->count++;
}

__attribute__((constructor)) static void begin(void)
{
        const char *path = getenv("SOAK_HEAP");
        int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
        struct sigaction action = { .sa_handler = tell, .sa_flags = SA_RESTART };

        if (fd < 0)
                return;
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        if (shared != MAP_FAILED)
                sigaction(SIGUSR1, &action, NULL);
}
