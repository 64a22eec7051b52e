/*
 * Rows of columns on standard output. On a terminal they are aligned by what is printed; elsewhere
 * one blank stands between them, and blanks within a text are \x20, so that a program can take them
 * apart.
 */
#ifndef MPSYNC_CLI_LAYOUT_H
#define MPSYNC_CLI_LAYOUT_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>

#define LAYOUT_MOST 7

struct layout {
	size_t count;
	int widths[LAYOUT_MOST];
	bool terminal;
	bool coloured;
	locale_t locale; /* for how wide characters are; 0: each counts as one */
};

void layout_init(struct layout *layout, size_t count);
void layout_clear(struct layout *layout);

/* Makes room for these texts, which are escaped (text_escape); they are printed later. */
void layout_fit(struct layout *layout, const char *const *cells);

/* An empty text is shown as "-". */
void layout_print(const struct layout *layout, const char *const *cells);

/* The same for the line above them. */
void layout_print_titles(const struct layout *layout, const char *const *titles);

#endif
