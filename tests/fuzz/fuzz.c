#include "fuzz.h"

unsigned input_byte(struct input *input)
{
        if (input->size == 0)
                return 0;
        input->size--;
        return *input->data++;
}

char *input_until(struct input *input, uint8_t end, size_t *ret_size)
{
        const uint8_t *at = input->size > 0 ? memchr(input->data, end, input->size) : NULL;
        size_t n = at ? (size_t)(at - input->data) : input->size;
        char *text = malloc(n + 1);

        CHECK(text);
        if (n > 0)
                memcpy(text, input->data, n);
        text[n] = '\0';
        if (ret_size)
                *ret_size = n;
        n += at != NULL;
        input->data += n;
        input->size -= n;
        return text;
}
