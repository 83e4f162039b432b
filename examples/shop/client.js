/** What a visitor clicks is marked. */
addEventListener('click', ({ target }) => target.closest('li')?.classList.toggle('marked'));
