#include "fs/util/sha256.h"

#include "tests/lib/test.h"

/* NIST's examples (FIPS 180-4, "Secure Hash Standard" example values; SHA256ShortMsg), and where the padding changes.
 * */
static const struct {
        const char *text;
        unsigned times;
        const char *digest;
} vectors[] = {
        { "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstno"
          "pqrs"
          "tu",
          1, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
        { "\xbd", 1, "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b" },
        { "\xc9\x8c\x8e\x55", 1, "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504" },
        { "a", 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318" },
        { "a", 56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a" },
        { "a", 63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34" },
        { "a", 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb" },
        { "a", 65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0" },
        { "a", 119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb" },
        { "a", 120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c" },
        { "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
};

START_TEST(digest_of_the_standard)
{
        size_t n = strlen(vectors[_i].text), size = n * vectors[_i].times;
        _cleanup_(qmp_freep) char *data = malloc(size + 1);
        char hex[SHA256_HEX_SIZE + 1];

        for (unsigned i = 0; i < vectors[_i].times; i++)
                memcpy(data + n * i, vectors[_i].text, n);
        sha256_hex(data, size, hex);
        ck_assert_str_eq(hex, vectors[_i].digest);
}
END_TEST

int main(void)
{
        const struct test tests[] = {
                TEST_EACH(digest_of_the_standard, ARRAY_SIZE(vectors)),
        };

        return test_main("sha256", tests, ARRAY_SIZE(tests), NULL, NULL);
}
