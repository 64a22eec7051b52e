/*
 * Lists whose links are members of what stands in them: `next`, and `previous` where anything may
 * leave a long list. `first` is the variable, or the member, that has the first one.
 */
#ifndef MPSYNC_LIST_H
#define MPSYNC_LIST_H

#define SINGLY_ADD(first, item)                                                                    \
	do {                                                                                           \
		(item)->next = (first);                                                                    \
		(first) = (item);                                                                          \
	} while (0)

/* Walks to the item, which stands in the list. */
#define SINGLY_REMOVE(first, item)                                                                 \
	do {                                                                                           \
		__typeof__(first) *item_link = &(first);                                                   \
		while (*item_link != (item))                                                               \
			item_link = &(*item_link)->next;                                                       \
		*item_link = (item)->next;                                                                 \
	} while (0)

/* Does nothing if the item does not stand in the list. */
#define SINGLY_REMOVE_IF_THERE(first, item)                                                        \
	do {                                                                                           \
		__typeof__(first) *item_link = &(first);                                                   \
		while (*item_link && *item_link != (item))                                                 \
			item_link = &(*item_link)->next;                                                       \
		if (*item_link)                                                                            \
			*item_link = (item)->next;                                                             \
	} while (0)

/* To the end: `last` has the last item, and counts only while there is a first one. */
#define SINGLY_APPEND(first, last, item)                                                           \
	do {                                                                                           \
		(item)->next = NULL;                                                                       \
		if (first)                                                                                 \
			(last)->next = (item);                                                                 \
		else                                                                                       \
			(first) = (item);                                                                      \
		(last) = (item);                                                                           \
	} while (0)

#define DOUBLY_ADD(first, item)                                                                    \
	do {                                                                                           \
		(item)->previous = NULL;                                                                   \
		(item)->next = (first);                                                                    \
		if ((item)->next)                                                                          \
			(item)->next->previous = (item);                                                       \
		(first) = (item);                                                                          \
	} while (0)

/* The item stands in the list. */
#define DOUBLY_REMOVE(first, item)                                                                 \
	do {                                                                                           \
		if ((item)->next)                                                                          \
			(item)->next->previous = (item)->previous;                                             \
		if ((item)->previous)                                                                      \
			(item)->previous->next = (item)->next;                                                 \
		else                                                                                       \
			(first) = (item)->next;                                                                \
		(item)->next = (item)->previous = NULL;                                                    \
	} while (0)

#endif
