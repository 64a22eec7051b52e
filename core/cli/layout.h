/*
 * Rows of columns on standard output. On a terminal the columns are aligned by the width of what is
 * printed. Elsewhere one blank stands between them, and blanks within a text are \x20, so that a
 * program can take the rows apart.
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
	locale_t locale; /* says how wide characters are; 0: each counts as one column */
};

void layout_init(struct layout *layout, size_t count);
void layout_clear(struct layout *layout);

/* Make the columns wide enough for these texts, escaped as text_escape does. Prints nothing. */
void layout_fit(struct layout *layout, const char *const *cells);

/* Print a row; an empty text is shown as "-". */
void layout_print(const struct layout *layout, const char *const *cells);

/* Print the line of titles above the rows. */
void layout_print_titles(const struct layout *layout, const char *const *titles);

#endif
