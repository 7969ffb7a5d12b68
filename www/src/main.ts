import { mount } from 'svelte';
import Shell from './Shell.svelte';
import './app.css';

const target = document.getElementById('app')!;
target.replaceChildren(); // what it says without scripts
mount(Shell, { target });
