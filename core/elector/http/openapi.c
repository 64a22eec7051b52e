#include "openapi.h"

__asm__(".section .rodata\n"
        ".global openapi_text\n"
        "openapi_text:\n"
        ".incbin \"" OPENAPI_FILE "\"\n"
        ".global openapi_end\n"
        "openapi_end:\n"
        ".byte 0\n"
        ".previous\n");

extern const char openapi_end[];

size_t openapi_size(void)
{
	/* cppcheck-suppress comparePointers ; two labels of one section */
	return (size_t)(openapi_end - openapi_text);
}
