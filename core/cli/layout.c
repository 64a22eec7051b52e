#include "layout.h"

#include "output.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

static int width_of(const struct layout *layout, const char *text)
{
	const locale_t before = layout->locale ? uselocale(layout->locale) : (locale_t)0;
	mbstate_t state = {0};
	const char *rest = text;
	const char *const end = text + strlen(text);
	int width = 0;

	while (rest < end) {
		wchar_t character = L'x';
		const size_t taken = mbrtowc(&character, rest, (size_t)(end - rest), &state);
		const int columns = wcwidth(character);

		if (taken == 0 || taken > (size_t)(end - rest)) {
			width += (*rest++ & 0xc0) != 0x80;
			state = (mbstate_t){0};
			continue;
		}
		width += columns > 0 ? columns : 0;
		rest += taken;
	}
	if (layout->locale)
		uselocale(before);
	return width;
}

void layout_init(struct layout *layout, size_t count)
{
	*layout = (struct layout){
	    .count = count, .terminal = isatty(STDOUT_FILENO) == 1, .coloured = output_has_colours()};
	if (layout->terminal)
		layout->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

void layout_clear(struct layout *layout)
{
	if (layout->locale)
		freelocale(layout->locale);
}

void layout_fit(struct layout *layout, const char *const *cells)
{
	for (size_t i = 0; layout->terminal && i < layout->count; i++) {
		const int width = width_of(layout, cells[i]);

		if (width > layout->widths[i])
			layout->widths[i] = width;
	}
}

static void print_for_program(const char *cell)
{
	for (; *cell; cell++) {
		if (*cell == ' ')
			fputs("\\x20", stdout);
		else
			putchar(*cell);
	}
}

void layout_print(const struct layout *layout, const char *const *cells)
{
	for (size_t i = 0; i < layout->count; i++) {
		const char *cell = *cells[i] ? cells[i] : "-";
		const bool last = i + 1 == layout->count;
		const int missing = layout->widths[i] - (layout->terminal ? width_of(layout, cell) : 0);

		if (layout->terminal)
			fputs(cell, stdout);
		else
			print_for_program(cell);
		if (!last)
			printf("%*s",
			    layout->terminal && missing > 0 ? missing + 2
			    : layout->terminal              ? 2
			                                    : 1,
			    "");
	}
	putchar('\n');
}

void layout_print_titles(const struct layout *layout, const char *const *titles)
{
	if (layout->coloured)
		fputs("\033[1m", stdout);
	layout_print(layout, titles);
	if (layout->coloured)
		fputs("\033[0m", stdout);
}
