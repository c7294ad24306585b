{{ config(
    materialized='incremental',
    incremental_strategy='renew',
    unique_key=['loan_hk'],
    meta={'affected_key': 'loan_hk'},
    pre_hook=["{{ note_affected(affected_loans()) }}"],
    indexes=[{'columns': ['loan_hk'], 'unique': true}],
) }}

{{ with_affected('loan_hk') }}
instalment_schedule as {{ rows_of(ref('instalment_schedule')) }},
loan_movement as {{ rows_of(ref('loan_movement')) }},
hub_loan as {{ rows_of(ref('hub_loan')) }},

moves as (
    -- An instalment is more than 90 days past due from the 91st day after it is due, as far as payments do not reach it.
    select
        i.loan_hk,
        {{ add_days('i.due_on', 91) }} as moved_on,
        i.principal + i.interest as late_for_90_days,
        0 as paid,
        0 as disbursed,
        0 as written_off
    from instalment_schedule as i
    -- What is due at the end of all days is never late, and the day after them is no date.
    where i.due_on < cast('9999-09-01' as date)
    {%- if is_incremental() %}
    and i.loan_hk in (select a.loan_hk from affected as a)
    {%- endif %}
    union all
    select
        m.loan_hk,
        m.effective_on,
        0,
        case when m.effect = 'payment' then m.amount else 0 end,
        case when m.effect = 'disbursement' then m.amount else 0 end,
        case when m.effect = 'write-off' then m.amount else 0 end
    from loan_movement as m
    {%- if is_incremental() %}
    where m.loan_hk in (select a.loan_hk from affected as a)
    {%- endif %}
),

days as (
    select
        m.loan_hk,
        m.moved_on,
        sum(m.late_for_90_days - m.paid) as late,
        sum(m.disbursed) as disbursed,
        sum(m.written_off) as written_off
    from moves as m
    group by m.loan_hk, m.moved_on
),

-- At the end of each day on which something changes; between them nothing does.
standings as (
    select
        d.loan_hk,
        d.moved_on,
        sum(d.late) over (partition by d.loan_hk order by d.moved_on rows unbounded preceding) as late,
        sum(d.disbursed) over (partition by d.loan_hk order by d.moved_on rows unbounded preceding) as disbursed,
        sum(d.written_off) over (partition by d.loan_hk order by d.moved_on rows unbounded preceding) as written_off
    from days as d
),

final as (
    select
        cast(s.loan_hk as varchar(64)) as loan_hk,
        h.loan_id,
        min(s.moved_on) as bad_on
    from standings as s
    inner join hub_loan as h on h.loan_hk = s.loan_hk
    where s.disbursed > 0 and (s.late > 0 or s.written_off > 0)
    group by s.loan_hk, h.loan_id
)

select * from final
