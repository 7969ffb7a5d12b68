export default { root: 'src', title: 'topk-lm', pages: [], pager: false, search: false };
