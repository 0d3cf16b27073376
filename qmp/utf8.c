#include "qmp/utf8.h"

size_t qmp_utf8_length(const char *text, size_t size)
{
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        const unsigned char *s = (const unsigned char *)text;
        uint32_t c;
        size_t n;

        if (s[0] < 0x80)
                return 1;
        if (s[0] >= 0xf5 || s[0] < 0xc2)
                return 0;
        n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
        if (size < n)
                return 0;
        c = s[0] & (0x7fu >> n);
        for (size_t i = 1; i < n; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (s[i] & 0x3fu);
        }
        if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return 0;
        return n;
}

bool qmp_utf8_is_valid(const char *text, size_t size)
{
        for (size_t i = 0, n; i < size; i += n) {
                n = qmp_utf8_length(text + i, size - i);
                if (n == 0)
                        return false;
        }
        return true;
}
